"""Queries that people ask of a lake, by what is to become of them in `flowlake query`."""

from __future__ import annotations

from typing import Any

import pytest


def cases(queries: dict[str, Any]) -> list[Any]:
    """The parameters of a test, named."""
    return [
        pytest.param(*(query if isinstance(query, tuple) else (query,)), id=name) for name, query in queries.items()
    ]


def pairs(queries: dict[str, str | tuple[str, str]]) -> list[Any]:
    """Queries for flowlake and for DuckDB, where they are spelled otherwise."""
    return cases({name: query if isinstance(query, tuple) else (query, None) for name, query in queries.items()})


DEVICES = "(SELECT DISTINCT deviceName AS d, deviceClass AS c FROM flows)"
TVS = "(SELECT DISTINCT deviceName AS d, deviceClass AS c FROM flows WHERE deviceClass = 'tv')"
BY_CLASS = "(SELECT deviceClass, COUNT(*) AS n FROM flows GROUP BY deviceClass)"
TIME_ORDER = "PARTITION BY deviceName ORDER BY flowStartMilliseconds, octetTotalCount, serverTransportPort"
RUNNING = f"({TIME_ORDER} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"

# Some devices are in one and not in the other; `n` is in both, and never the same.
TVS_BEFORE = "(SELECT deviceName AS d, COUNT(*) AS n FROM flows WHERE deviceClass = 'tv' GROUP BY deviceName)"
ALL_LATER = "(SELECT deviceName AS d, COUNT(*) * 2 AS n FROM flows WHERE month > '2019-06' GROUP BY deviceName)"

# The rows of the answer, in any order.
ANSWERED = pairs(
    {
        # ---- aggregates
        "count": "SELECT COUNT(*) AS n, COUNT(averageInterarrivalTime) AS c, COUNT(DISTINCT deviceName) AS d FROM"
        " flows",
        "count distinct leaves out nulls": "SELECT COUNT(DISTINCT averageInterarrivalTime) AS n FROM flows",
        "sum avg min max": "SELECT SUM(octetTotalCount) AS s, AVG(octetTotalCount) AS a, MIN(octetTotalCount) AS l,"
        " MAX(deviceName) AS m, MIN(flowStartMilliseconds) AS t FROM flows",
        "aggregates of nulls alone": "SELECT SUM(averageInterarrivalTime) AS s, AVG(averageInterarrivalTime) AS a,"
        " MIN(averageInterarrivalTime) AS m, COUNT(averageInterarrivalTime) AS c FROM flows"
        " WHERE averageInterarrivalTime IS NULL",
        "aggregates of no rows": "SELECT COUNT(*) AS n, SUM(octetTotalCount) AS s, MAX(deviceName) AS m,"
        " AVG(octetTotalCount)"
        " AS a FROM flows WHERE month = '1999-01'",
        "groups of no rows": "SELECT deviceName, COUNT(*) AS n FROM flows WHERE month = '1999-01' GROUP BY deviceName",
        "avg leaves out nulls": "SELECT AVG(averageInterarrivalTime) AS a, AVG(COALESCE(averageInterarrivalTime, 0))"
        " AS b"
        " FROM flows",
        "wide sums": "SELECT SUM(CASE WHEN octetTotalCount > 100 THEN 1000000 ELSE 0 END) AS s,"
        " SUM(protocolIdentifier *"
        " 1000000) AS p FROM flows",
        "median and quantiles": "SELECT MEDIAN(octetTotalCount) AS m, QUANTILE_CONT(averageInterarrivalTime, 0.9) AS q,"
        " PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY octetTotalCount) AS p FROM flows",
        "spread and correlation": "SELECT STDDEV(octetTotalCount) AS s, VAR_SAMP(averageInterarrivalTime) AS v,"
        " CORR(octetTotalCount, averageInterarrivalTime) AS c, COVAR_POP(octetTotalCount, packetTotalCount) AS p FROM"
        " flows",
        "filter": "SELECT deviceClass, COUNT(*) FILTER (WHERE protocolName = 'TCP') AS t,"
        " SUM(octetTotalCount) FILTER (WHERE averageInterarrivalTime > 100) AS u FROM flows GROUP BY deviceClass",
        "shares": "SELECT 100.0 * SUM(CASE WHEN protocolName = 'TCP' THEN 1 ELSE 0 END) / COUNT(*) AS pct FROM flows",
        "string_agg": "SELECT STRING_AGG(month, ',' ORDER BY month) AS m FROM (SELECT DISTINCT month FROM flows) AS t",
        "string_agg distinct": "SELECT STRING_AGG(DISTINCT deviceClass, ',') AS c FROM flows WHERE deviceClass = 'tv'",
        # ---- groups
        "group by": "SELECT deviceClass, COUNT(*) AS n, SUM(octetTotalCount) * 1.0 / COUNT(*) AS a, COUNT(*) * 100 AS h"
        " FROM flows GROUP BY deviceClass",
        "group by all": "SELECT month, deviceClass, COUNT(*) AS n FROM flows GROUP BY ALL",
        "group by ordinal": "SELECT octetTotalCount > 1000, COUNT(*) AS n FROM flows GROUP BY 1",
        "group by alias": "SELECT CASE WHEN octetTotalCount > 1000 THEN 'big' ELSE 'small' END AS size, COUNT(*) AS n"
        " FROM flows GROUP BY size",
        "group by expression": "SELECT month || '/' || deviceClass AS k, COUNT(*) AS n FROM flows"
        " GROUP BY month || '/' || deviceClass",
        "group by nulls": "SELECT reverseMaxPacketSize, COUNT(*) AS n FROM flows GROUP BY reverseMaxPacketSize",
        "group by a name that is also a column": "SELECT UPPER(deviceClass) AS deviceClass, COUNT(*) AS n FROM flows"
        " GROUP BY deviceClass",
        "group by a quotient": "SELECT octetTotalCount / 1000.0 AS k, COUNT(*) AS n FROM flows GROUP BY k",
        "having": "SELECT deviceClass FROM flows GROUP BY deviceClass HAVING COUNT(*) > 500 AND SUM(octetTotalCount)"
        " > 1000000",
        "having under a name that is also a column": "SELECT deviceClass, MAX(octetTotalCount) AS octetTotalCount"
        " FROM flows"
        " GROUP BY deviceClass HAVING MIN(octetTotalCount) > 50",
        "a constant beside groups": "SELECT month, 1 AS one, COUNT(*) AS n FROM flows GROUP BY month",
        # ---- windows
        "over a partition": "SELECT deviceName, octetTotalCount * 1.0 / SUM(octetTotalCount) OVER (PARTITION BY"
        " deviceName)"
        " AS s, COUNT(averageInterarrivalTime) OVER (PARTITION BY deviceName) AS c FROM flows",
        "over everything": "SELECT deviceName, octetTotalCount - AVG(octetTotalCount) OVER () AS s FROM flows",
        "over everything and nothing else": "SELECT SUM(octetTotalCount) OVER () AS s FROM flows",
        "over groups": f"SELECT deviceClass, n * 100.0 / SUM(n) OVER () AS pct FROM {BY_CLASS} AS t",
        "over groups in partitions": "SELECT month, n, SUM(n) OVER (PARTITION BY month) AS m, RANK() OVER (PARTITION"
        " BY month"
        " ORDER BY n DESC) AS r FROM (SELECT month, deviceClass, COUNT(*) AS n FROM flows GROUP BY month,"
        " deviceClass) AS t",
        "row_number": f"SELECT deviceName, octetTotalCount, ROW_NUMBER() OVER ({TIME_ORDER}) AS r FROM flows",
        "rank": "SELECT deviceName, octetTotalCount, RANK() OVER (PARTITION BY deviceName ORDER BY octetTotalCount"
        " DESC) AS r,"
        " DENSE_RANK() OVER (PARTITION BY deviceName ORDER BY octetTotalCount DESC) AS d FROM flows",
        "numbers of rows are signed": "SELECT octetTotalCount, 1 - CAST(RANK() OVER (ORDER BY octetTotalCount) AS"
        " BIGINT) AS r, CAST(RANK() OVER (ORDER BY octetTotalCount) AS BIGINT) * 1000000 AS m FROM flows",
        "lag and lead": f"SELECT deviceName, flowStartMilliseconds AS t, LAG(octetTotalCount) OVER ({TIME_ORDER}) AS a,"
        f" LEAD(octetTotalCount, 2) OVER ({TIME_ORDER}) AS b FROM flows",
        "running sums": "SELECT deviceName, flowStartMilliseconds AS t, SUM(octetTotalCount) OVER"
        f" {RUNNING} AS s, COUNT(*) OVER {RUNNING} AS n, MAX(octetTotalCount) OVER {RUNNING} AS m FROM flows",
        "first_value": f"SELECT deviceName, FIRST_VALUE(octetTotalCount) OVER ({TIME_ORDER}) AS f FROM flows",
        "top of each": "SELECT deviceName, octetTotalCount FROM (SELECT deviceName, octetTotalCount, RANK() OVER"
        " (PARTITION BY"
        " deviceName ORDER BY octetTotalCount DESC) AS r FROM flows) AS t WHERE r <= 3",
        "qualify": "SELECT deviceName, octetTotalCount, RANK() OVER (PARTITION BY deviceName ORDER BY octetTotalCount"
        " DESC) AS r"
        " FROM flows QUALIFY r <= 3",
        # ---- joins
        "inner join": "SELECT a.deviceName, a.n, b.s FROM (SELECT deviceName, COUNT(*) AS n FROM flows GROUP BY"
        " deviceName) AS a"
        " JOIN (SELECT deviceName, SUM(octetTotalCount) AS s FROM flows GROUP BY deviceName) AS b"
        " ON a.deviceName = b.deviceName",
        "join using": "SELECT deviceName, n, s FROM (SELECT deviceName, COUNT(*) AS n FROM flows GROUP BY deviceName)"
        " AS a JOIN"
        " (SELECT deviceName, SUM(octetTotalCount) AS s FROM flows GROUP BY deviceName) AS b USING (deviceName)",
        "self join": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a JOIN {DEVICES} AS b ON a.c = b.c AND a.d < b.d",
        "join of unequal numbers": f"WITH t AS {BY_CLASS} SELECT a.deviceClass, b.deviceClass AS other FROM t AS a"
        " JOIN t AS b"
        " ON a.n < b.n",
        "left join": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a LEFT JOIN {TVS} AS b ON a.d = b.d",
        "left join for what is missing": f"SELECT a.d FROM {DEVICES} AS a LEFT JOIN {TVS} AS b ON a.d = b.d WHERE b.d"
        " IS NULL",
        "right join": f"SELECT a.d, b.d AS e FROM {TVS} AS a RIGHT JOIN {DEVICES} AS b ON a.d = b.d",
        "full join": f"SELECT a.d, b.d AS e FROM {TVS} AS a FULL JOIN {DEVICES} AS b ON a.d = b.d",
        "cross join": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a CROSS JOIN {TVS} AS b",
        "join on nulls": "SELECT COUNT(*) AS n FROM (SELECT averageInterarrivalTime AS k FROM flows WHERE deviceClass"
        " = 'plug')"
        " AS a JOIN (SELECT averageInterarrivalTime AS k FROM flows WHERE deviceClass = 'tv') AS b ON a.k = b.k",
        "join with its maximum": "SELECT f.deviceName, f.octetTotalCount FROM flows AS f JOIN (SELECT deviceName,"
        " MAX(octetTotalCount) AS m FROM flows GROUP BY deviceName) AS t"
        " ON f.deviceName = t.deviceName AND f.octetTotalCount = t.m",
        "more than a maximum": "SELECT COUNT(*) AS n FROM flows AS f,"
        " (SELECT MAX(octetTotalCount) AS m FROM flows) AS t WHERE f.octetTotalCount * 2 > t.m",
        # ---- subqueries and common table expressions
        "in a long subquery": "SELECT COUNT(*) AS n FROM flows WHERE octetTotalCount IN"
        " (SELECT reverseOctetTotalCount FROM flows)",
        "in a subquery": "SELECT COUNT(*) AS n FROM flows WHERE deviceName IN (SELECT deviceName FROM flows"
        " GROUP BY deviceName HAVING COUNT(*) > 500) OR deviceClass = 'tv'",
        "not in a subquery with nulls": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT IN"
        " (SELECT averageInterarrivalTime FROM flows WHERE deviceClass = 'tv')",
        "not in a subquery without nulls": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT IN"
        " (SELECT"
        " averageInterarrivalTime FROM flows WHERE averageInterarrivalTime IS NOT NULL AND deviceClass = 'tv')",
        "a limit on what is in a subquery": (
            "SELECT f.deviceClass IS NULL AS x FROM flows AS f WHERE f.deviceClass IN (SELECT deviceClass FROM flows"
            " WHERE month = '2019-06') LIMIT 1",
            "SELECT FALSE AS x",
        ),
        "common table expressions": f"WITH t AS {BY_CLASS}, u AS (SELECT MAX(n) AS m FROM t) SELECT t.deviceClass"
        " FROM t"
        " JOIN u ON t.n = u.m",
        # ---- sets
        "union": "SELECT averageInterarrivalTime FROM flows UNION SELECT reverseMaxPacketSize FROM flows",
        "union all": "SELECT 'flows' AS k, COUNT(*) AS n FROM flows UNION ALL SELECT 'bytes', SUM(octetTotalCount)"
        " FROM flows",
        # ---- conditions, nulls
        "case": "SELECT CASE WHEN octetTotalCount > 1000 THEN 'a' WHEN averageInterarrivalTime > 100 THEN 'b' END AS c,"
        " CASE protocolName WHEN 'TCP' THEN 1 WHEN 'UDP' THEN 2 ELSE 0 END AS p, COUNT(*) AS n FROM flows GROUP BY c,"
        " p",
        "coalesce and nullif": "SELECT COALESCE(averageInterarrivalTime, reverseMaxPacketSize, -1) AS c,"
        " CAST(octetTotalCount AS DOUBLE) / NULLIF(averageInterarrivalTime, 0) AS q FROM flows",
        "greatest and least": "SELECT GREATEST(octetTotalCount, averageInterarrivalTime) AS g,"
        " LEAST(octetTotalCount, averageInterarrivalTime, 5) AS l FROM flows",
        "null is not equal": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime = NULL",
        "null is neither": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime <> 0"
        " AND NOT (averageInterarrivalTime > 100)",
        "null in a list": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT IN (0, 1, NULL)",
        "distinct from": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime IS DISTINCT FROM 0",
        "not between": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT BETWEEN 10 AND 1000",
        "null and true": "SELECT averageInterarrivalTime > 100 AND reverseMaxPacketSize > 10 AS a,"
        " averageInterarrivalTime > 100 OR octetTotalCount > 1000 AS b, COUNT(*) AS n FROM flows GROUP BY a, b",
        "is not true": "SELECT COUNT(*) AS n FROM flows WHERE (averageInterarrivalTime > 100) IS NOT TRUE",
        # ---- numbers
        "division": "SELECT octetTotalCount * 1.0 / packetTotalCount AS q, octetTotalCount % 7 AS m, -7 % 3 AS r,"
        " 7 % -3 AS s FROM flows",
        "division of whole numbers": (
            "SELECT octetTotalCount / packetTotalCount AS q, octetTotalCount / -7 AS d, 100 * SUM(octetTotalCount)"
            " OVER () / COUNT(*) OVER () AS s FROM flows",
            "SELECT octetTotalCount // packetTotalCount AS q, octetTotalCount // -7 AS d, 100 * SUM(octetTotalCount)"
            " OVER () // COUNT(*) OVER () AS s FROM flows",
        ),
        "quotients are exact": "SELECT FLOOR(x / 49.0) AS f, x / 49.0 = p AS same FROM (SELECT packetTotalCount AS p,"
        " packetTotalCount * 49 AS x FROM flows) AS t",
        "wide products": "SELECT protocolIdentifier * 100000000 AS p, octetTotalCount - 5000000000 AS m FROM flows",
        "small numbers": "SELECT LENGTH(deviceName) - 20 AS l, STRPOS(deviceName, 'o') - 5 AS s, COUNT(*) - 20000 AS n"
        " FROM flows GROUP BY deviceName",
        "functions": "SELECT SQRT(octetTotalCount) AS s, LN(octetTotalCount) AS l, ABS(reverseOctetTotalCount -"
        " octetTotalCount) AS a, CEIL(octetTotalCount / 8.0) AS c, ROUND(octetTotalCount / 7.0, 2) AS r,"
        " ROUND(2.5) AS h FROM flows",
        "signs": "SELECT 5 - -3 AS a, - -5 AS b, - - 5 AS c, deviceName FROM flows WHERE octetTotalCount > - -100",
        "casts": "SELECT CAST(octetTotalCount AS VARCHAR) AS t, CAST(octetTotalCount AS DOUBLE) / 3 AS d,"
        " CAST(SUBSTR(month, 6, 2) AS INTEGER) * 100000000 AS m, CAST(octetTotalCount > 100 AS INTEGER) AS b FROM"
        " flows",
        # ---- text
        "like": "SELECT COUNT(*) AS n FROM flows WHERE deviceName LIKE '_rio%' OR serverIPAddress LIKE '192.168.%'"
        " OR deviceName ILIKE 'SONY%'",
        "regular expressions": (
            "SELECT COUNT(*) AS n FROM flows WHERE deviceName ~ '^[qs].*[A-Z]'",
            "SELECT COUNT(*) AS n FROM flows WHERE regexp_matches(deviceName, '^[qs].*[A-Z]')",
        ),
        "text functions": "SELECT DISTINCT UPPER(deviceName) AS u, SUBSTR(deviceName, 2, 3) AS s, LEFT(deviceName,"
        " -2) AS l,"
        " RIGHT(deviceName, 3) AS r, REPLACE(deviceName, 'o', '0') AS p, SPLIT_PART(serverIPAddress, '.', 1) AS q,"
        " CONCAT(deviceName, '/', month) AS c, deviceName || NULL AS n FROM flows",
        "quotes": "SELECT 'it''s' AS a, month AS \"the month\", COUNT(*) AS \"select\" FROM flows GROUP BY month",
        # ---- times
        "extract": "SELECT EXTRACT(HOUR FROM flowStartMilliseconds) * 60 + EXTRACT(MINUTE FROM flowStartMilliseconds)"
        " AS m,"
        " EXTRACT(DOW FROM flowStartMilliseconds) AS d, EXTRACT(WEEK FROM flowStartMilliseconds) AS w,"
        " EXTRACT(EPOCH FROM flowStartMilliseconds) AS e, DATE_PART('day', flowStartMilliseconds) * 24 AS p FROM flows",
        "times as text": (
            "SELECT TO_CHAR(flowStartMilliseconds, '%Y-%m-%d %H:00') AS h, COUNT(*) AS n FROM flows GROUP BY h",
            "SELECT STRFTIME(flowStartMilliseconds, '%Y-%m-%d %H:00') AS h, COUNT(*) AS n FROM flows GROUP BY h",
        ),
        "spans of time": "SELECT DATE_TRUNC('hour', flowStartMilliseconds) AS h, DATE_TRUNC('week',"
        " flowStartMilliseconds) AS w, COUNT(*) AS n FROM flows GROUP BY h, w",
        "quarters of an hour": (
            "SELECT DATE_BIN(INTERVAL '15 minutes', flowStartMilliseconds) AS q, COUNT(*) AS n FROM flows GROUP BY q",
            "SELECT TIME_BUCKET(INTERVAL '15 minutes', flowStartMilliseconds) AS q, COUNT(*) AS n FROM flows GROUP BY"
            " q",
        ),
        "the last days": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds >"
        " (SELECT MAX(flowStartMilliseconds) - INTERVAL '7 days' FROM flows)",
        "a time with a zone": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds <"
        " '2019-07-15T12:00:00+09:00'",
        "hours after a time": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds >"
        " CAST(flowStartMillisecondsDate AS TIMESTAMP) + INTERVAL '12 hours'",
        "intervals": "SELECT flowStartMilliseconds + INTERVAL '1 day' AS d, EXTRACT(HOUR FROM flowStartMilliseconds +"
        " INTERVAL '9 hours') AS h FROM flows",
        "between times": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds BETWEEN '2019-07-15'"
        " AND TIMESTAMP '2019-07-20 12:00:00' AND flowStartMillisecondsDate >= DATE '2019-07-16'",
        "days": "SELECT CAST(flowStartMilliseconds AS DATE) AS d, COUNT(*) AS n FROM flows GROUP BY d",
        # ---- columns
        "every column": "SELECT * FROM flows",
        "distinct rows": "SELECT DISTINCT month, deviceClass FROM flows",
        "exclude": "SELECT * EXCLUDE (deviceName, month) FROM flows WHERE deviceClass = 'tv'",
        "replace": "SELECT * REPLACE (octetTotalCount * 2 AS octetTotalCount) FROM flows WHERE deviceClass = 'tv'",
        "pruning conditions": "SELECT COUNT(*) AS n FROM flows WHERE month >= '2019-07' AND month < '2019-09' AND"
        " deviceClass IN"
        " ('tv', 'plug') AND flowStartMilliseconds > '2019-08-01' AND octetTotalCount BETWEEN 100 AND 5000",
        "no rows": "SELECT deviceName, octetTotalCount FROM flows WHERE FALSE",
        # ---- what engines get wrong
        "sum of a constant": "SELECT SUM(1) AS s FROM flows",
        "sum of a constant in groups": "SELECT deviceName, SUM(1) AS s FROM flows GROUP BY deviceName",
        "running sum over equals": "SELECT packetTotalCount AS p, SUM(octetTotalCount) OVER (ORDER BY"
        " packetTotalCount) AS s"
        " FROM flows",
        "running count over equals": "SELECT month, packetTotalCount AS p, COUNT(*) OVER (PARTITION BY month"
        " ORDER BY packetTotalCount) AS s FROM flows",
        "running mean": f"SELECT deviceName, octetTotalCount, AVG(octetTotalCount) OVER {RUNNING} AS s FROM flows",
        "running median": f"SELECT deviceName, octetTotalCount, MEDIAN(octetTotalCount) OVER {RUNNING} AS s FROM flows",
        "last of a whole frame": f"SELECT deviceName, LAST_VALUE(octetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN"
        " UNBOUNDED"
        " PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM flows",
        "a frame of some rows": f"SELECT deviceName, SUM(octetTotalCount) OVER ({TIME_ORDER} ROWS BETWEEN 2 PRECEDING"
        " AND"
        " CURRENT ROW) AS s FROM flows",
        "a frame of a range": "SELECT packetTotalCount AS p, SUM(octetTotalCount) OVER (ORDER BY packetTotalCount"
        " RANGE BETWEEN"
        " UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM flows",
        "named windows": f"SELECT deviceName, octetTotalCount, COUNT(*) OVER w AS c FROM flows WINDOW w AS {RUNNING}",
        "ranks of nulls": "SELECT averageInterarrivalTime AS a, RANK() OVER (ORDER BY averageInterarrivalTime NULLS"
        " LAST) AS r"
        " FROM flows",
        "ranks after nulls": "SELECT averageInterarrivalTime AS a, RANK() OVER (ORDER BY averageInterarrivalTime"
        " NULLS FIRST)"
        " AS r FROM flows",
        "nulls last in a window": "SELECT deviceName, averageInterarrivalTime AS a, ROW_NUMBER() OVER (PARTITION BY"
        " deviceName"
        " ORDER BY averageInterarrivalTime NULLS LAST) AS r FROM flows",
        "a window over its own groups": "SELECT deviceClass, COUNT(*) AS n, ROW_NUMBER() OVER (ORDER BY deviceClass)"
        " AS r"
        " FROM flows GROUP BY deviceClass",
        "a count over its own groups": "SELECT deviceClass, COUNT(*) AS n, COUNT(*) OVER () AS r FROM flows"
        " GROUP BY deviceClass",
        "a filter and a window": "SELECT deviceName, COUNT(*) FILTER (WHERE protocolName = 'TCP') OVER (PARTITION BY"
        " deviceName) AS n FROM flows",
        "left join of unequals": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a LEFT JOIN {DEVICES} AS b ON a.d < b.d",
        "left join of equals and unequals": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a LEFT JOIN {DEVICES} AS b"
        " ON a.c = b.c AND a.d < b.d",
        "full join with a condition": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a FULL JOIN {TVS} AS b"
        " ON a.d = b.d AND b.d <> 'sonyBravia'",
        "left join with a condition": "SELECT a.d, b.n FROM (SELECT DISTINCT deviceName AS d FROM flows) AS a LEFT JOIN"
        " (SELECT deviceName, COUNT(*) AS n FROM flows GROUP BY deviceName) AS b ON a.d = b.deviceName AND b.n > 1000",
        "join on either": f"SELECT a.d, b.d AS e FROM {DEVICES} AS a JOIN {DEVICES} AS b ON a.d = b.d OR a.d ="
        " 'qrioHub'",
        "a table of the lake's name": "WITH flows AS (SELECT * FROM flows WHERE deviceClass = 'tv') SELECT COUNT(*)"
        " AS n"
        " FROM flows",
        "intersect": "SELECT averageInterarrivalTime FROM flows INTERSECT SELECT reverseMaxPacketSize FROM flows",
        "except": "SELECT deviceName FROM flows EXCEPT SELECT deviceName FROM flows WHERE deviceClass = 'tv'",
        "exists": "SELECT COUNT(*) AS n FROM flows AS f WHERE EXISTS (SELECT 1 FROM flows AS g"
        " WHERE g.deviceName = f.deviceName AND g.month = '2019-06')",
        "a correlated subquery": "SELECT COUNT(*) AS n FROM flows AS f WHERE octetTotalCount = (SELECT"
        " MAX(octetTotalCount)"
        " FROM flows AS g WHERE g.deviceName = f.deviceName)",
        "more than the mean": "SELECT COUNT(*) AS n FROM flows WHERE octetTotalCount > (SELECT AVG(octetTotalCount)"
        " FROM flows)",
        "having without groups": "SELECT COUNT(*) AS n FROM flows HAVING COUNT(*) > 10",
        "rollup": "SELECT month, COUNT(*) AS n FROM flows GROUP BY ROLLUP (month)",
        "is unknown": "SELECT COUNT(*) AS n FROM flows WHERE (averageInterarrivalTime > 100) IS UNKNOWN",
        "exponents": "SELECT deviceClass, SUM(octetTotalCount) / 1e6 AS mb FROM flows GROUP BY deviceClass",
        "powers": "SELECT POWER(octetTotalCount, 4) AS p FROM flows",
        "logarithms to a base": "SELECT LOG(10, octetTotalCount) AS l FROM flows",
        "a time at the left": "SELECT COUNT(*) AS n FROM flows WHERE '2019-07-15' < flowStartMilliseconds",
        "a cast of a time": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds >="
        " CAST('2019-07-15 12:00:00' AS TIMESTAMP)",
        "times in a list": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds IN ('2019-07-15 12:00:00')",
        "text as a number": "SELECT COUNT(*) AS n FROM flows WHERE octetTotalCount > '100'",
        "a pattern that is computed": "SELECT COUNT(*) AS n FROM flows WHERE deviceName LIKE deviceClass || '%'",
        "an aggregate in a window": "SELECT deviceClass, SUM(COUNT(*)) OVER () AS n FROM flows GROUP BY deviceClass",
        "a rank of groups": "SELECT deviceName, RANK() OVER (ORDER BY SUM(octetTotalCount) DESC) AS r FROM flows"
        " GROUP BY deviceName",
        "recursion": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t",
        "cubes": "SELECT month, deviceClass, COUNT(*) AS n FROM flows GROUP BY CUBE (month, deviceClass)",
        "count distinct of pairs": "SELECT COUNT(DISTINCT (deviceName, month)) AS n FROM flows",
        "a frame of days": "SELECT deviceName, flowStartMilliseconds, SUM(octetTotalCount) OVER (PARTITION BY"
        " deviceName ORDER BY flowStartMilliseconds RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS s"
        " FROM flows",
        "a subquery of each row": "SELECT deviceName, (SELECT COUNT(*) FROM flows AS g WHERE g.deviceName ="
        " d.deviceName AND g.month = '2019-06' AND g.deviceClass = 'tv') AS n FROM (SELECT DISTINCT deviceName FROM"
        " flows) AS d",
        "semi join": (
            f"SELECT a.d FROM {DEVICES} AS a LEFT SEMI JOIN {TVS} AS b ON a.d = b.d",
            f"SELECT a.d FROM {DEVICES} AS a SEMI JOIN {TVS} AS b ON a.d = b.d",
        ),
        "exists with unequals": "SELECT COUNT(*) AS n FROM flows AS f WHERE EXISTS (SELECT 1 FROM flows AS g"
        " WHERE g.deviceName = f.deviceName AND g.octetTotalCount > f.octetTotalCount * 100)",
        # ---- the least and the greatest, beside those of expressions
        "a minimum beside that of a sum": "SELECT MIN(octetTotalCount) AS a, MIN(octetTotalCount + packetTotalCount)"
        " AS b FROM flows",
        "a maximum beside that of a negative": "SELECT MAX(octetTotalCount) AS a, MAX(-octetTotalCount) AS b FROM"
        " flows",
        "a maximum beside a minimum of an expression": "SELECT MAX(octetTotalCount) AS a, MIN(octetTotalCount * 2) AS"
        " b, MAX(packetTotalCount) AS c FROM flows WHERE deviceClass = 'tv'",
        "the first and the last beside the longest": "SELECT MIN(flowStartMilliseconds) AS a,"
        " MAX(flowStartMilliseconds) AS b, MAX(octetTotalCount - reverseOctetTotalCount) AS c,"
        " MIN(COALESCE(averageInterarrivalTime, -1)) AS d FROM flows",
        # ---- conditions on both sides of a join
        "right join and a condition on both": f"SELECT b.d, a.n, b.n AS m FROM {TVS_BEFORE} AS a RIGHT JOIN {ALL_LATER}"
        " AS b ON a.d = b.d WHERE COALESCE(a.n, 0) < b.n",
        "right join and what is distinct": f"SELECT b.d, a.n, b.n AS m FROM {TVS_BEFORE} AS a RIGHT JOIN {ALL_LATER}"
        " AS b ON a.d = b.d WHERE a.n IS DISTINCT FROM b.n",
        "right join of the same table": "SELECT a.packetTotalCount AS x, b.packetTotalCount AS y FROM flows AS a RIGHT"
        " JOIN flows AS b ON a.deviceName = b.deviceName AND a.flowStartMilliseconds = b.flowEndMilliseconds"
        " WHERE COALESCE(a.packetTotalCount, 0) < b.packetTotalCount",
        "right join of the same table and what is distinct": "SELECT COUNT(*) AS n FROM flows AS a RIGHT JOIN flows AS"
        " b ON a.deviceName = b.deviceName AND a.flowStartMilliseconds = b.flowEndMilliseconds"
        " WHERE a.packetTotalCount IS DISTINCT FROM b.packetTotalCount",
        "right join of columns of one name": "WITH t AS (SELECT packetTotalCount AS p, octetTotalCount AS k FROM flows"
        " WHERE deviceClass = 'tv') SELECT COUNT(*) AS n FROM t AS a RIGHT JOIN t AS b ON a.k = b.p"
        " WHERE COALESCE(a.p, 0) < b.p",
        "left join of columns of one name": "WITH t AS (SELECT packetTotalCount AS p, octetTotalCount AS k FROM flows"
        " WHERE deviceClass = 'tv') SELECT COUNT(*) AS n FROM t AS a LEFT JOIN t AS b ON a.p = b.k"
        " WHERE COALESCE(b.p, 0) < a.p",
        "full join of columns of one name": "WITH t AS (SELECT packetTotalCount AS p, octetTotalCount AS k FROM flows"
        " WHERE deviceClass = 'tv') SELECT COUNT(*) AS n FROM t AS a FULL JOIN t AS b ON a.p = b.k"
        " WHERE COALESCE(b.p, 0) < COALESCE(a.p, 1)",
        "right join and what is missing": f"SELECT b.d, a.n, b.n AS m FROM {TVS_BEFORE} AS a RIGHT JOIN {ALL_LATER}"
        " AS b ON a.d = b.d WHERE a.n IS NULL OR a.n > b.n",
        "right join and a condition within": f"SELECT a.n, b.d, b.n AS m FROM {TVS_BEFORE} AS a RIGHT JOIN {ALL_LATER}"
        " AS b ON a.d = b.d AND a.n < b.n",
        "full join and a condition on both": f"SELECT a.d, b.d AS e, a.n, b.n AS m FROM {TVS_BEFORE} AS a FULL JOIN"
        f" {ALL_LATER} AS b ON a.d = b.d WHERE COALESCE(a.n, 0) < COALESCE(b.n, 1)",
        "right semi join": (
            f"SELECT b.d, b.n FROM {TVS_BEFORE} AS a RIGHT SEMI JOIN {ALL_LATER} AS b ON a.d = b.d AND a.n < b.n",
            f"SELECT b.d, b.n FROM {ALL_LATER} AS b SEMI JOIN {TVS_BEFORE} AS a ON a.d = b.d AND a.n < b.n",
        ),
        "right anti join": (
            f"SELECT b.d, b.n FROM {TVS_BEFORE} AS a RIGHT ANTI JOIN {ALL_LATER} AS b ON a.d = b.d AND a.n < b.n",
            f"SELECT b.d, b.n FROM {ALL_LATER} AS b ANTI JOIN {TVS_BEFORE} AS a ON a.d = b.d AND a.n < b.n",
        ),
        # ---- conditions on partition columns that are unknown
        "null in a list of classes": "SELECT COUNT(*) AS n FROM flows WHERE deviceClass NOT IN ('tv', 'plug', 'light',"
        " NULL)",
        "null in a short list of classes": "SELECT COUNT(*) AS n FROM flows WHERE deviceClass NOT IN ('tv', NULL)",
        "a class or null": "SELECT COUNT(*) AS n FROM flows WHERE deviceClass IN ('tv', NULL)",
        "a month that becomes null": "SELECT COUNT(*) AS n FROM flows WHERE NULLIF(month, '2019-06') <> 'x'",
        "a month that becomes null, or else": "SELECT COUNT(*) AS n FROM flows WHERE NULLIF(month, '2019-06') <> 'x' OR"
        " octetTotalCount > 1000",
        "a month that is compared with null": "SELECT COUNT(*) AS n FROM flows WHERE month <> NULL",
        "not a month that is compared with null": "SELECT COUNT(*) AS n FROM flows WHERE NOT (month = NULL OR"
        " deviceClass = 'tv')",
        "a case of months": "SELECT COUNT(*) AS n FROM flows WHERE CASE WHEN month > '2019-06' THEN month ="
        " '2019-07' END",
        "a month that is unknown": "SELECT COUNT(*) AS n FROM flows WHERE (NULLIF(month, '2019-06') <> 'x') IS NULL",
        # ---- local times
        "local time": "SELECT flowStartMilliseconds AT TIME ZONE 'Asia/Tokyo' AS t FROM flows",
        "hours of local time": "SELECT EXTRACT(HOUR FROM flowStartMilliseconds AT TIME ZONE 'Asia/Tokyo') AS h,"
        " COUNT(*) AS n FROM flows GROUP BY h",
        "days of local time": "SELECT CAST(flowStartMilliseconds AT TIME ZONE 'Asia/Tokyo' AS DATE) AS d, COUNT(*) AS n"
        " FROM flows GROUP BY d",
        "spans of local time": "SELECT CAST(DATE_TRUNC('day', flowStartMilliseconds AT TIME ZONE 'Asia/Tokyo') AS"
        " TIMESTAMP) AS d, DATE_TRUNC('hour', flowStartMilliseconds AT TIME ZONE 'America/New_York') AS h, COUNT(*) AS"
        " n FROM flows GROUP BY d, h",
        "local time as text": (
            "SELECT CAST(flowStartMilliseconds AT TIME ZONE 'Asia/Tokyo' AS VARCHAR) AS t FROM flows",
            # Without a fraction that is nothing.
            "SELECT REPLACE(STRFTIME(flowStartMilliseconds AT TIME ZONE 'Asia/Tokyo', '%Y-%m-%dT%H:%M:%S.%g'), '.000',"
            " '') AS t FROM flows",
        ),
        "a condition on local time": "SELECT COUNT(*) AS n FROM flows WHERE flowStartMilliseconds AT TIME ZONE"
        " 'Asia/Tokyo' >= TIMESTAMP '2019-07-01 00:00:00'",
        # ---- whole numbers
        "whole quotients of nothing": (
            "SELECT COUNT(*) AS n FROM flows WHERE reverseOctetTotalCount = 0 OR"
            " octetTotalCount / reverseOctetTotalCount > 3",
            "SELECT COUNT(*) AS n FROM flows WHERE reverseOctetTotalCount = 0 OR"
            " octetTotalCount // reverseOctetTotalCount > 3",
        ),
        "whole quotients by zero": (
            "SELECT octetTotalCount / reverseOctetTotalCount AS q, octetTotalCount % reverseOctetTotalCount AS m,"
            " octetTotalCount / 0 AS d, 7 / 0 AS a, 7 % 0 AS b, 0 / 0 AS c FROM flows",
            "SELECT octetTotalCount // reverseOctetTotalCount AS q, octetTotalCount % reverseOctetTotalCount AS m,"
            " octetTotalCount // 0 AS d, 7 // 0 AS a, 7 % 0 AS b, 0 // 0 AS c FROM flows",
        ),
        "whole quotients of sums by zero": (
            "SELECT deviceName, SUM(octetTotalCount) / SUM(CASE WHEN protocolName = 'ICMP' THEN 1 ELSE 0 END) AS q"
            " FROM flows GROUP BY deviceName",
            "SELECT deviceName, SUM(octetTotalCount) // SUM(CASE WHEN protocolName = 'ICMP' THEN 1 ELSE 0 END) AS q"
            " FROM flows GROUP BY deviceName",
        ),
        "products that fit": "SELECT 9223372036854775806 + 1 AS a, 4611686018427387904 * -2 AS b,"
        " octetTotalCount * 1000000000 AS p, packetTotalCount - 9223372036854775807 AS m FROM flows",
        "narrow numbers": (
            "SELECT SUM(CAST(packetTotalCount % 100 AS TINYINT) * CAST(100 AS TINYINT)) AS s,"
            " CAST(100000 AS INTEGER) * CAST(100000 AS INTEGER) AS p, CAST(100 AS SMALLINT) + CAST(32767 AS SMALLINT)"
            " AS q FROM flows",
            "SELECT SUM(packetTotalCount % 100 * 100) AS s, 10000000000 AS p, 32867 AS q FROM flows",
        ),
        "narrow numbers in a union": (
            "SELECT CAST(100000 AS INTEGER) * 100000 AS n FROM flows UNION SELECT LENGTH(deviceName) * 1000000000 FROM"
            " flows",
            "SELECT 10000000000 AS n UNION SELECT LENGTH(deviceName)::BIGINT * 1000000000 FROM flows",
        ),
        # ---- numbers of several types in a column
        "whole numbers or fractions": "SELECT CASE WHEN octetTotalCount > 1000 THEN octetTotalCount ELSE 0.5 END AS v"
        " FROM flows",
        "a fraction for what is missing": "SELECT COALESCE(averageInterarrivalTime, 0.5) AS v,"
        " GREATEST(packetTotalCount, 2.5) AS g FROM flows",
        "counts and means": "SELECT 'n' AS k, COUNT(*) AS v FROM flows UNION ALL SELECT 'avg', AVG(octetTotalCount)"
        " FROM flows",
        "counts and constants": "SELECT 'n' AS k, COUNT(*) AS v FROM flows UNION ALL SELECT 'half', 0.5 UNION ALL"
        " SELECT 'none', NULL",
        "lengths or sizes": "SELECT CASE WHEN octetTotalCount > 1000 THEN LENGTH(deviceName) ELSE octetTotalCount END"
        " AS v FROM flows",
        # ---- subqueries that do not depend on the row
        "exists at all": "SELECT COUNT(*) AS n FROM flows WHERE EXISTS (SELECT 1 FROM flows WHERE month = '2019-06')",
        "exists nowhere": "SELECT COUNT(*) AS n FROM flows WHERE EXISTS (SELECT 1 FROM flows WHERE month = '1999-01')",
        "does not exist at all": "SELECT COUNT(*) AS n FROM flows WHERE NOT EXISTS (SELECT 1 FROM flows WHERE month ="
        " '1999-01') AND deviceClass = 'tv'",
        "exists, or else": "SELECT COUNT(*) AS n FROM flows WHERE deviceClass = 'tv' OR EXISTS (SELECT 1 FROM flows"
        " WHERE month = '1999-01')",
        # ---- sets of columns with and without nulls
        "intersect what is null with what is not": "(SELECT octetTotalCount > 2 AS c FROM flows) INTERSECT"
        " (SELECT (averageInterarrivalTime > 1) IS TRUE FROM flows)",
        "intersect what is not null with what is": "(SELECT (averageInterarrivalTime > 1) IS TRUE AS c FROM flows)"
        " INTERSECT (SELECT averageInterarrivalTime > 1 FROM flows)",
        "except of what is null": "SELECT averageInterarrivalTime > 1 AS c FROM flows EXCEPT SELECT"
        " octetTotalCount IS NULL FROM flows",
        "union of what is null and what is not": "SELECT octetTotalCount IS NULL AS c FROM flows UNION SELECT"
        " averageInterarrivalTime > 1 FROM flows",
        # ---- what looks like that which is refused
        "lists of two columns": "SELECT COUNT(*) AS n FROM flows WHERE NOT (averageInterarrivalTime IN (0, 1) AND"
        " packetTotalCount IN (3, 4))",
        "either of two lists": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime IN (0, 1) OR"
        " averageInterarrivalTime IN (2, 3)",
        "neither of two lists": "SELECT COUNT(*) AS n FROM flows WHERE averageInterarrivalTime NOT IN (0, 1) AND"
        " averageInterarrivalTime NOT IN (2, 3)",
        "lists of a column without nulls": "SELECT COUNT(*) AS n FROM flows WHERE deviceClass NOT IN ('tv', 'plug') AND"
        " deviceClass NOT IN ('light')",
        "a running spread": f"SELECT deviceName, ROUND(STDDEV_POP(packetTotalCount) OVER {RUNNING}, 3) AS s FROM flows",
        "a spread over a partition": "SELECT deviceName, STDDEV_POP(packetTotalCount) OVER (PARTITION BY deviceName) AS"
        " s FROM flows",
        "powers in words": "SELECT POWER(packetTotalCount, 2) AS p FROM flows",
        "as long as can be": "SELECT LENGTH(REPEAT('x', 65536)) AS a, LENGTH(LPAD('x', 65536, 'y')) AS b,"
        " LENGTH(RPAD('x', 65536, 'y')) AS c",
        "random rows": (
            "SELECT COUNT(*) > 0 AS n FROM flows WHERE RANDOM() >= 0",
            "SELECT TRUE AS n",
        ),
        "durations as seconds": "SELECT EXTRACT(EPOCH FROM (flowEndMilliseconds - flowStartMilliseconds)) AS s FROM"
        " flows",
    }
)

# The rows of the answer, in their order, which the query makes total.
ORDERED = cases(
    {
        "by an alias": "SELECT deviceClass, COUNT(*) AS n FROM flows GROUP BY deviceClass ORDER BY n DESC, deviceClass",
        "by an ordinal": "SELECT deviceClass, COUNT(*) AS n FROM flows GROUP BY 1 ORDER BY 2 DESC, 1",
        "by an aggregate": "SELECT deviceClass, COUNT(*) AS n FROM flows GROUP BY deviceClass ORDER BY COUNT(*) DESC,"
        " deviceClass",
        "by an aggregate of a column": "SELECT deviceName, SUM(octetTotalCount) AS s FROM flows GROUP BY deviceName"
        " ORDER BY SUM(octetTotalCount)",
        "by an aggregate with nulls": "SELECT deviceName, AVG(reverseMaxPacketSize) AS a FROM flows GROUP BY deviceName"
        " ORDER BY AVG(reverseMaxPacketSize) NULLS FIRST, deviceName",
        "by an expression of aliases": "SELECT deviceClass, SUM(octetTotalCount) AS s, COUNT(*) AS n FROM flows"
        " GROUP BY deviceClass ORDER BY s / n",
        "by a name that is also a column": "SELECT deviceClass, AVG(octetTotalCount) AS octetTotalCount FROM flows"
        " GROUP BY deviceClass ORDER BY octetTotalCount",
        "by an aggregate that is not selected": "SELECT deviceClass FROM flows GROUP BY deviceClass"
        " ORDER BY SUM(octetTotalCount)",
        "by a function": "SELECT DISTINCT deviceName FROM flows ORDER BY LENGTH(deviceName), deviceName",
        "by what is not selected": "SELECT octetTotalCount FROM flows ORDER BY octetTotalCount * -1 LIMIT 5",
        "nulls last": "SELECT averageInterarrivalTime AS a FROM flows ORDER BY a DESC NULLS LAST LIMIT 20",
        "nulls first": "SELECT averageInterarrivalTime AS a FROM flows ORDER BY a NULLS FIRST LIMIT 5 OFFSET 230",
        "limit and offset": "SELECT deviceName, octetTotalCount FROM flows ORDER BY octetTotalCount DESC, deviceName"
        " LIMIT 10 OFFSET 5",
        "offset beyond the end": "SELECT deviceName FROM flows ORDER BY octetTotalCount DESC LIMIT 5 OFFSET 100000",
        "distinct on": "SELECT DISTINCT ON (deviceName) deviceName, flowStartMilliseconds FROM flows"
        " ORDER BY deviceName, flowStartMilliseconds DESC",
        "of a union": "SELECT deviceName FROM flows WHERE deviceClass = 'tv' UNION SELECT deviceName FROM flows"
        " WHERE deviceClass = 'plug' ORDER BY deviceName DESC",
        "having, limit and offset": "SELECT month, COUNT(*) AS n FROM flows WHERE deviceClass = 'tv' GROUP BY month"
        " HAVING COUNT(*) > 1 ORDER BY n DESC, month LIMIT 2 OFFSET 1",
        "a limit within": "SELECT deviceClass FROM (SELECT deviceClass, COUNT(*) AS n FROM flows GROUP BY deviceClass"
        " ORDER BY n DESC LIMIT 3) AS t ORDER BY deviceClass",
    }
)
