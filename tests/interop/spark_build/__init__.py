"""Builds on a cluster of Spark: drivers that run scripts/spark_build.py, and a stand-in for flowlake on executors."""
