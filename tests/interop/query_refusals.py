"""Queries that `flowlake query` refuses, or may refuse, and those whose answers are a matter of dialect."""

from __future__ import annotations

from datetime import date

from query_cases import DEVICES, TIME_ORDER, TVS, cases

# What is not there in DataFusion, or is known to be wrong in it, or in other engines.
RIGHT_OR_REFUSED = cases(
    {
        "right join using": f"SELECT d FROM {TVS} AS a RIGHT JOIN {DEVICES} AS b USING (d)",
        "tuples": "SELECT COUNT(*) AS n FROM flows WHERE (deviceName, month) IN (SELECT deviceName, month FROM flows"
        " WHERE octetTotalCount > 100000)",
        "a case of a subquery": "SELECT CASE WHEN deviceName IN (SELECT deviceName FROM flows WHERE month ="
        " '2019-06') THEN 1"
        " ELSE 0 END AS x, COUNT(*) AS n FROM flows GROUP BY x",
        "hours after a date": "SELECT flowStartMillisecondsDate + INTERVAL '1 hour' AS t FROM flows",
        "full join using": f"SELECT d FROM {TVS} AS a FULL JOIN {DEVICES} AS b USING (d)",
        "natural right join": f"SELECT c, d FROM {TVS} AS a NATURAL RIGHT JOIN {DEVICES} AS b",
        "more hours than a day after a date": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds >"
        " flowStartMillisecondsDate + INTERVAL '12 hours'",
        "intersect all": "SELECT averageInterarrivalTime FROM flows INTERSECT ALL SELECT reverseMaxPacketSize FROM"
        " flows",
        "except all": "SELECT deviceClass FROM flows EXCEPT ALL SELECT deviceClass FROM flows WHERE month = '2019-07'",
        "any of a subquery": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime = ANY (SELECT"
        " averageInterarrivalTime FROM flows WHERE deviceClass = 'tv')",
        "all of a subquery": "SELECT COUNT(*) AS n FROM flows WHERE octetTotalCount > ALL (SELECT octetTotalCount FROM"
        " flows WHERE deviceClass = 'plug')",
        "not in a subquery with nulls, or else": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT IN"
        " (SELECT averageInterarrivalTime FROM flows WHERE deviceClass = 'tv') OR octetTotalCount > 100000",
        "arithmetic of ranks": "SELECT octetTotalCount, 1 - RANK() OVER (ORDER BY octetTotalCount) AS r,"
        " RANK() OVER (ORDER BY octetTotalCount) * 1000000 AS m FROM flows",
        "a semi join as others spell it": f"SELECT a.d FROM {DEVICES} AS a SEMI JOIN {TVS} AS b ON a.d = b.d",
        "a quotient before its condition": "SELECT COUNT(*) AS n FROM flows WHERE octetTotalCount * 1.0 /"
        " averageInterarrivalTime > 10 AND averageInterarrivalTime > 0",
        "a sample": "SELECT COUNT(*) AS n FROM flows TABLESAMPLE (0 PERCENT)",
        "having in a subquery of each row": "SELECT x, (SELECT COUNT(*) FROM (VALUES (1)) AS u (y) WHERE y = x"
        " HAVING COUNT(*) > 5) AS n FROM (VALUES (1), (2)) AS t (x)",
        "what is in a subquery is unknown": "SELECT x FROM (VALUES (1), (2), (NULL)) AS t (x) WHERE"
        " (x IN (SELECT y FROM (VALUES (1)) AS u (y))) IS NULL",
        "durations in seconds": "SELECT AVG(EXTRACT(EPOCH FROM (flowEndMilliseconds - flowStartMilliseconds))) AS a,"
        " MAX(EXTRACT(EPOCH FROM (flowEndMilliseconds - flowStartMilliseconds))) AS m FROM flows",
        "a lateral join": "SELECT a.deviceName, g.octetTotalCount FROM (SELECT DISTINCT deviceName FROM flows) AS a,"
        " LATERAL (SELECT octetTotalCount FROM flows AS f WHERE f.deviceName = a.deviceName"
        " ORDER BY octetTotalCount DESC LIMIT 2) AS g",
        "rename": "SELECT * RENAME (octetTotalCount AS octets) FROM flows WHERE deviceClass = 'tv'",
        "another quantile": "SELECT QUANTILE_DISC(octetTotalCount, 0.33) AS d FROM flows",
        "whole quotients": "SELECT octetTotalCount // 7 AS d FROM flows",
    }
)

# What has no answer, and words that the error must have.
REFUSED = cases(
    {
        "no SQL": ("SELEC deviceName FROM flows", "SQL"),
        "two statements": ("SELECT 1 AS a; SELECT 2 AS b", "one statement"),
        "delete": ("DELETE FROM flows", "DELETE FROM flows"),
        "no such column": ("SELECT octets FROM flows", "no column `octets`"),
        "another case": ("SELECT DeviceName FROM flows", "no column `DeviceName`"),
        "no such table": ("SELECT 1 AS a FROM packets", "no table `packets`"),
        "an alias in WHERE": ("SELECT octetTotalCount AS o FROM flows WHERE o > 100", "no column `o`"),
        "text in double quotes": ('SELECT month FROM flows WHERE deviceName = "qrioHub"', "no column `qrioHub`"),
        "no such function": (
            "SELECT APPROX_COUNT_DISTINCT(deviceName) AS n FROM flows",
            "Did you mean 'approx_distinct'?",
        ),
        "a column that is not grouped": (
            "SELECT deviceClass, deviceName FROM flows GROUP BY deviceClass",
            "deviceName",
        ),
        "a column beside an aggregate": ("SELECT deviceClass, COUNT(*) AS n FROM flows", "deviceClass"),
        "a column within an aggregate's sum": (
            "SELECT octetTotalCount - AVG(octetTotalCount) AS d FROM flows",
            "octetTotalCount",
        ),
        "a column within a group's sum": (
            "SELECT deviceName, octetTotalCount + COUNT(*) AS n FROM flows GROUP BY deviceName",
            "octetTotalCount",
        ),
        "an aggregate in WHERE": ("SELECT deviceName FROM flows WHERE octetTotalCount > AVG(octetTotalCount)", "WHERE"),
        "distinct in another order": (
            "SELECT DISTINCT deviceClass FROM flows ORDER BY octetTotalCount LIMIT 3",
            "octetTotalCount",
        ),
        "two columns of one name": ("SELECT deviceName, month AS deviceName FROM flows", "deviceName"),
        "an ambiguous column": (f"SELECT d FROM {DEVICES} AS a JOIN {TVS} AS b ON a.c = b.c", "ambiguous"),
        "a cast that fails": ("SELECT CAST(deviceName AS INTEGER) AS n FROM flows", "deviceName"),
        "a cast that is too narrow": ("SELECT CAST(octetTotalCount AS TINYINT) AS n FROM flows", "octetTotalCount"),
        "no time": ("SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds >= 'yesterday'", "'yesterday'"),
        "a number for text": ("SELECT COUNT(*) AS n FROM flows WHERE deviceName = 5", "cast"),
        "a union of other columns": (
            "SELECT deviceName FROM flows UNION SELECT deviceName, month FROM flows",
            "column",
        ),
        # ---- numbers that leave 64 bits
        "a sum of constants that does not fit": ("SELECT 9223372036854775807 + 1 AS a", "overflow"),
        "a difference that does not fit": (
            "SELECT -9223372036854775807 - MIN(octetTotalCount) AS a FROM flows",
            "overflow",
        ),
        "a product that does not fit": ("SELECT octetTotalCount * 9223372036854775807 AS a FROM flows", "overflow"),
        "a condition that does not fit": (
            "SELECT COUNT(*) AS n FROM flows WHERE octetTotalCount + 9223372036854775807 > 0",
            "overflow",
        ),
        "a product of groups that does not fit": (
            "SELECT deviceName, MAX(octetTotalCount) * 9223372036854775807 AS a FROM flows GROUP BY deviceName",
            "overflow",
        ),
        # ---- subqueries
        "not in a subquery of each row": (
            "SELECT COUNT(*) AS n FROM flows AS f WHERE averageInterarrivalTime NOT IN"
            " (SELECT averageInterarrivalTime FROM flows AS g WHERE g.month = f.month AND g.deviceClass = 'plug')",
            "NOT IN",
        ),
        "exists of an aggregate of each row": (
            "SELECT COUNT(*) AS n FROM flows AS f WHERE EXISTS (SELECT COUNT(*) FROM flows AS g"
            " WHERE g.deviceName = f.deviceName AND g.month = '1999-01')",
            "EXISTS",
        ),
        "in an aggregate of each row": (
            "SELECT COUNT(*) AS n FROM flows AS f WHERE octetTotalCount IN (SELECT MAX(octetTotalCount) FROM flows AS g"
            " WHERE g.deviceName = f.deviceName)",
            "hint:",
        ),
        "exists after some of each row": (
            "SELECT COUNT(*) AS n FROM flows AS f WHERE EXISTS (SELECT 1 FROM flows AS g"
            " WHERE g.deviceName = f.deviceName AND g.octetTotalCount > 1000 OFFSET 3)",
            "OFFSET",
        ),
        "in what is after some of each row": (
            "SELECT COUNT(*) AS n FROM flows AS f WHERE octetTotalCount IN (SELECT octetTotalCount FROM flows AS g"
            " WHERE g.deviceName = f.deviceName ORDER BY octetTotalCount OFFSET 3)",
            "OFFSET",
        ),
        "random numbers in a subquery": (
            "SELECT COUNT(*) AS n FROM (SELECT RANDOM() AS r FROM flows) AS t WHERE r < 0.1 AND r > 0.05",
            "RANDOM",
        ),
        "random numbers in a common table expression": (
            "WITH t AS (SELECT deviceName, RANDOM() AS r FROM flows) SELECT a.r = b.r AS same FROM t AS a JOIN t AS b"
            " ON a.deviceName = b.deviceName LIMIT 5",
            "RANDOM",
        ),
        "random names in a subquery": (
            "SELECT a.u = b.u AS same FROM (SELECT UUID() AS u) AS a, (SELECT UUID() AS u) AS b",
            "UUID",
        ),
        # ---- lists of one column, where it is null
        "not in both of two lists": (
            "SELECT COUNT(*) AS n FROM flows WHERE NOT (averageInterarrivalTime IN (1, 2) AND averageInterarrivalTime"
            " IN (3, 4))",
            "IN",
        ),
        "not in either of two lists": (
            "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT IN (1, 2) OR averageInterarrivalTime NOT"
            " IN (3, 4)",
            "IN",
        ),
        # ---- windows
        "a spread over some rows": (
            f"SELECT STDDEV(octetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM"
            " flows",
            "STDDEV",
        ),
        "a variance over some rows": (
            f"SELECT VAR_POP(octetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS s"
            " FROM flows",
            "VAR",
        ),
        "a covariance over some rows": (
            f"SELECT COVAR_SAMP(octetTotalCount, packetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN 9 PRECEDING AND"
            " CURRENT ROW) AS s FROM flows",
            "COVAR",
        ),
        "a correlation over some rows": (
            f"SELECT CORR(octetTotalCount, packetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN 9 PRECEDING AND CURRENT"
            " ROW) AS s FROM flows",
            "CORR",
        ),
        "a slope over some rows": (
            f"SELECT REGR_SLOPE(octetTotalCount, packetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN 9 PRECEDING AND"
            " CURRENT ROW) AS s FROM flows",
            "REGR",
        ),
        # ---- operators and functions
        "similar to": ("SELECT COUNT(*) AS n FROM flows WHERE deviceName SIMILAR TO 'q.*'", "SIMILAR TO"),
        "not similar to": ("SELECT COUNT(*) AS n FROM flows WHERE deviceName NOT SIMILAR TO 'q.*'", "SIMILAR TO"),
        "a roof": ("SELECT packetTotalCount ^ 2 AS p FROM flows", "POWER"),
        "a pattern for times as in PostgreSQL": (
            "SELECT TO_CHAR(flowStartMilliseconds, 'YYYY-MM-DD') AS d, COUNT(*) AS n FROM flows GROUP BY d",
            "%",
        ),
        "intervals that are compared": (
            "SELECT INTERVAL '1 month' > INTERVAL '30 days' AS a",
            "interval",
        ),
        "intervals of another length": (
            "SELECT COUNT(*) AS n FROM flows WHERE INTERVAL '24 hours' = INTERVAL '1 day'",
            "interval",
        ),
        "a series that is too long": ("SELECT UNNEST(RANGE(0, 1000000000)) AS n", "range"),
        "a table of numbers that is too long": ("SELECT UNNEST(GENERATE_SERIES(1, 65537)) AS n", "generate_series"),
        "a list that is too long": ("SELECT ARRAY_REPEAT(1, 1000000000) AS n", "array_repeat"),
        "text that is too long": ("SELECT LENGTH(REPEAT('x', 1000000000)) AS n", "65"),
        "text that is too long at its left": ("SELECT LENGTH(LPAD('x', 65537, 'y')) AS n", "65"),
        "text that is too long at its right": ("SELECT LENGTH(RPAD('x', 1000000000, 'y')) AS n", "65"),
        "no regular expression": ("SELECT COUNT(*) AS n FROM flows WHERE deviceName ~ '(['", "reg"),
        "no regular expression in a function": (
            "SELECT REGEXP_REPLACE(deviceName, '(unclosed', '') AS n FROM flows",
            "reg",
        ),
        # ---- columns of the answer
        "durations in Parquet": ("SELECT flowEndMilliseconds - flowStartMilliseconds AS d FROM flows", "EPOCH"),
        "intervals in Parquet": ("SELECT INTERVAL '1 month' AS i", "VARCHAR"),
        "columns of one name of two tables": (
            f"SELECT a.d, b.d FROM {DEVICES} AS a JOIN {TVS} AS b ON a.c = b.c",
            "name",
        ),
    }
)

# Where answers are defensible, but are not those of DuckDB.
DIALECT = cases(
    {
        "quotients of whole numbers are whole": ("SELECT 7 / 2 AS a, -7 / 2 AS b, 7 / 2.0 AS c", [(3, -3, 3.5)]),
        "casts to whole numbers cut off": ("SELECT CAST(2.7 AS BIGINT) AS a, CAST(-2.7 AS BIGINT) AS b", [(2, -2)]),
        "decimals are floats": ("SELECT 0.1 + 0.2 = 0.3 AS a", [(False,)]),
        "LIKE escapes with a backslash": (
            r"SELECT 'a_b' LIKE 'a\_b' AS a, 'axb' LIKE 'a\_b' AS b",
            [(True, False)],
        ),
        "lists have their nulls first": (
            "SELECT ARRAY_AGG(x ORDER BY x DESC) AS a FROM (VALUES (1), (NULL), (2)) AS t (x)",
            [((None, 2, 1),)],
        ),
        "zones of constants count": (
            "SELECT TIMESTAMP '2019-07-01 12:00:00+09:00' = TIMESTAMP '2019-07-01 03:00:00' AS a",
            [(True,)],
        ),
        "descending order has nulls first": (
            "SELECT averageInterarrivalTime AS a FROM flows ORDER BY averageInterarrivalTime DESC LIMIT 1",
            [(None,)],
        ),
        "an order by an alias, even within an expression": (
            "SELECT -n AS n FROM (VALUES (1), (2)) AS t (n) ORDER BY n + 0",
            [(-2,), (-1,)],
        ),
        "text before its beginning": ("SELECT SUBSTR('abcdef', -3) AS a", [("abcdef",)]),
        "a date and days are a date": (
            "SELECT MIN(flowStartMillisecondsDate) + INTERVAL '1 day' AS a FROM flows WHERE month = '2019-07'",
            [(date(2019, 7, 2),)],
        ),
        "times are text as in RFC 3339": (
            "SELECT CAST(TIMESTAMP '2019-07-01 12:00:00' AS VARCHAR) AS a, CAST(MIN(flowStartMilliseconds) AS VARCHAR)"
            " LIKE '2019-06-25T__:__:__.___Z' AS b FROM flows",
            [("2019-07-01T12:00:00", True)],
        ),
    }
)
