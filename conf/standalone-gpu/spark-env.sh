#!/usr/bin/env bash
# As ../spark-env.sh. The path of a script is not known in spark-defaults.conf.
SPARK_LOCAL_IP=127.0.0.1
SPARK_DAEMON_MEMORY=256m
SPARK_WORKER_OPTS="-Dspark.worker.resource.gpu.amount=2"
SPARK_WORKER_OPTS+=" -Dspark.worker.resource.gpu.discoveryScript=$SPARK_CONF_DIR/gpus.sh"
# As for drivers and executors: see ../README.md.
SPARK_DAEMON_JAVA_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
