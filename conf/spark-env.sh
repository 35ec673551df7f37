#!/usr/bin/env bash
# Read by all of Spark's scripts before they start Java.
# Everything stays on this machine, whatever its host name resolves to.
SPARK_LOCAL_IP=127.0.0.1
# For master and worker processes, which hold no data.
SPARK_DAEMON_MEMORY=256m
# As for drivers and executors: see README.md.
SPARK_DAEMON_JAVA_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
