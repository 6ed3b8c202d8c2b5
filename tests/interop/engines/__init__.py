"""Engines that read lakes: one adapter each, all asked the same questions, so that tests can compare the answers."""
