#!/bin/sh
# Runs a broker from environment variables, as the images of the ZooKeeper years did (wurstmeister/kafka, bitnami/kafka,
# confluentinc/cp-kafka), so that a compose file written for one of them needs only another image name:
#
#   KAFKA_LOG_RETENTION_HOURS=1       log.retention.hours=1        a dot for _, a dash for __, an underscore for ___
#   KAFKA_CFG_NUM_PARTITIONS=3        num.partitions=3             bitnami's way; wins over the other
#   KAFKA_CREATE_TOPICS=a:3:2,b:1:1:compact                        name:partitions:replicas[:cleanup.policy]
#   HOSTNAME_COMMAND, PORT_COMMAND    what they print stands for _{HOSTNAME_COMMAND} and _{PORT_COMMAND} in values
#   BROKER_ID_COMMAND, RACK_COMMAND   print broker.id and broker.rack
#
# Without any zookeeper.connect it runs a ZooKeeper and a broker in one. Other words are a command: kafka-topics.sh ...
set -eu

home=${KAFKA_HOME:-/opt/kafka}
shipped=${KAFKA_SHIPPED_PROPERTIES:-$home/conf/server.properties}
properties=${KAFKA_SERVER_PROPERTIES:-$home/conf/broker.properties}

# How the images' own start commands are called. Anything else is not for us.
case "${1:-}" in
'' | start-kafka.sh | /usr/bin/start-kafka.sh | /etc/confluent/docker/run | /opt/bitnami/scripts/kafka/run.sh | /run.sh) ;;
*) exec "$@" ;;
esac

# first prints the first of its words that is not empty.
first() {
  for word in "$@"; do
    if [ -n "$word" ]; then
      printf '%s' "$word"
      return
    fi
  done
}

# data is where the images keep records, so that their volumes go on being used.
data() {
  if [ -d /bitnami/kafka ]; then
    echo /bitnami/kafka/data
  elif [ -d /kafka ]; then
    echo "/kafka/kafka-logs-$(hostname)"
  else
    echo /var/lib/kafka/data
  fi
}

if [ -z "${KAFKA_ZOOKEEPER_CONNECT:-}${KAFKA_CFG_ZOOKEEPER_CONNECT:-}" ]; then
  exec zurau run "$home/conf" --override "advertised.listeners=$(first "${KAFKA_CFG_ADVERTISED_LISTENERS:-}" \
    "${KAFKA_ADVERTISED_LISTENERS:-}" PLAINTEXT://localhost:9092)"
fi

if [ -n "${BROKER_ID_COMMAND:-}" ]; then KAFKA_BROKER_ID=$(eval "$BROKER_ID_COMMAND"); fi
if [ -n "${RACK_COMMAND:-}" ]; then KAFKA_BROKER_RACK=$(eval "$RACK_COMMAND"); fi
HOSTNAME_VALUE='' PORT_VALUE=''
if [ -n "${HOSTNAME_COMMAND:-}" ]; then HOSTNAME_VALUE=$(eval "$HOSTNAME_COMMAND"); fi
if [ -n "${PORT_COMMAND:-}" ]; then PORT_VALUE=$(eval "$PORT_COMMAND"); fi

# A broker without an id gets one from ZooKeeper and keeps it in its log directory.
KAFKA_BROKER_ID=$(first "${KAFKA_CFG_BROKER_ID:-}" "${KAFKA_BROKER_ID:-}" -1)
KAFKA_LOG_DIRS=$(first "${KAFKA_CFG_LOG_DIRS:-}" "${KAFKA_LOG_DIRS:-}" "${KAFKA_CFG_LOG_DIR:-}" "${KAFKA_LOG_DIR:-}" "$(data)")

# advertised.host.name, advertised.port and port are gone since Kafka 3.0; wurstmeister's files still name them.
advertised=$(first "${KAFKA_CFG_ADVERTISED_LISTENERS:-}" "${KAFKA_ADVERTISED_LISTENERS:-}")
listeners=$(first "${KAFKA_CFG_LISTENERS:-}" "${KAFKA_LISTENERS:-}")
port=$(first "${KAFKA_PORT:-}" 9092)
if [ -z "$advertised" ] && [ -n "${KAFKA_ADVERTISED_HOST_NAME:-}${KAFKA_ADVERTISED_PORT:-}" ]; then
  advertised=PLAINTEXT://$(first "${KAFKA_ADVERTISED_HOST_NAME:-}" "$(hostname)"):$(first "${KAFKA_ADVERTISED_PORT:-}" "$port")
  listeners=$(first "$listeners" "PLAINTEXT://:$port")
fi
# Who says only what is advertised listens on the same ports at every address, as confluentinc's do.
if [ -z "$listeners" ] && [ -n "$advertised" ]; then
  listeners=$(printf '%s' "$advertised" | sed -e 's#//\[[^]]*\]:#//:#g' -e 's#//[^:/,]*:#//:#g')
fi
KAFKA_ADVERTISED_LISTENERS=$advertised KAFKA_LISTENERS=$(first "$listeners" "PLAINTEXT://:$port")
unset KAFKA_CFG_BROKER_ID KAFKA_CFG_LOG_DIRS KAFKA_CFG_LOG_DIR KAFKA_LOG_DIR KAFKA_ADVERTISED_HOST_NAME \
  KAFKA_ADVERTISED_PORT KAFKA_PORT KAFKA_CFG_ADVERTISED_LISTENERS KAFKA_CFG_LISTENERS
export KAFKA_BROKER_ID KAFKA_LOG_DIRS KAFKA_ADVERTISED_LISTENERS KAFKA_LISTENERS HOSTNAME_VALUE PORT_VALUE
if [ -n "${KAFKA_BROKER_RACK:-}" ]; then export KAFKA_BROKER_RACK; fi

# The shipped file, and after it what the environment says: of a key given twice the last counts. awk knows values with
# line ends in them, which env prints as more lines.
{
  cat "$shipped"
  echo
  awk '
    # These speak to the images, to Java or to the shell and are no properties.
    function foreign(name) {
      return name ~ /^KAFKA_(HOME|VERSION|DEBUG|LOG|OPTS|HEAP_OPTS|GC_LOG_OPTS|JMX_OPTS|JMX_PORT|LOG4J_OPTS|LOG4J_ROOT_LOGLEVEL|LOG4J_LOGGERS|TOOLS_LOG4J_LOGLEVEL|JVM_PERFORMANCE_OPTS|ZOOKEEPER_CLIENT_CNXN_SOCKET|CREATE_TOPICS|CREATE_TOPICS_SEPARATOR|SERVER_PROPERTIES|SHIPPED_PROPERTIES|ENABLE_KRAFT|KRAFT_CLUSTER_ID|MOUNTED_CONF_DIR|VOLUME_DIR|BASE_DIR|CONF_DIR|CONF_FILE|DAEMON_USER|DAEMON_GROUP|INTER_BROKER_USER|INTER_BROKER_PASSWORD|CLIENT_USERS|CLIENT_PASSWORDS|CLIENT_LISTENER_NAME|ZOOKEEPER_PROTOCOL|ZOOKEEPER_USER|ZOOKEEPER_PASSWORD|CERTIFICATE_PASSWORD|TLS_TYPE|TLS_CLIENT_AUTH|INITIAL_TOPICS|EXTRA_FLAGS|SKIP_KRAFT_STORAGE_INIT)$/
    }
    function key(name) {
      gsub(/___/, "\001", name)
      gsub(/__/, "\002", name)
      gsub(/_/, ".", name)
      gsub(/\002/, "-", name)
      gsub(/\001/, "_", name)
      return tolower(name)
    }
    # replaced puts what a command has printed where a value asks for it; its characters mean nothing.
    function replaced(value, word, with,    at, out) {
      while ((at = index(value, word)) > 0) {
        out = out substr(value, 1, at - 1) with
        value = substr(value, at + length(word))
      }
      return out value
    }
    function put(name, value) {
      value = replaced(value, "_{HOSTNAME_COMMAND}", ENVIRON["HOSTNAME_VALUE"])
      value = replaced(value, "_{PORT_COMMAND}", ENVIRON["PORT_VALUE"])
      value = replaced(value, "\\", "\\\\")
      value = replaced(value, "\n", "\\n")
      sub(/^ /, "\\ ", value)
      print key(name) "=" value
    }
    BEGIN {
      for (name in ENVIRON)
        if (name ~ /^KAFKA_[A-Z]/ && name !~ /^KAFKA_CFG_/ && !foreign(name) && ENVIRON[name] != "")
          put(substr(name, 7), ENVIRON[name])
      for (name in ENVIRON)
        if (name ~ /^KAFKA_CFG_[A-Z]/ && ENVIRON[name] != "")
          put(substr(name, 11), ENVIRON[name])
    }' </dev/null
} >"$properties"

# create_topics asks until there are brokers enough; what is there already stays as it is.
create_topics() {
  separator=${KAFKA_CREATE_TOPICS_SEPARATOR:-,}
  connect=$(first "${KAFKA_CFG_ZOOKEEPER_CONNECT:-}" "${KAFKA_ZOOKEEPER_CONNECT:-}")
  printf '%s\n' "$KAFKA_CREATE_TOPICS" | tr "$separator" '\n' | while IFS=: read -r name partitions replicas policy; do
    name=$(printf '%s' "$name" | tr -d ' ')
    if [ -z "$name" ]; then continue; fi
    set -- --zookeeper "$connect" --create --if-not-exists --topic "$name" --partitions "$(first "$partitions" 1)" \
      --replication-factor "$(first "$replicas" 1)"
    policy=$(printf '%s' "$policy" | tr -d ' ')
    if [ -n "$policy" ]; then set -- "$@" --config "cleanup.policy=$policy"; fi
    tries=0
    until kafka-topics.sh "$@"; do
      tries=$((tries + 1))
      if [ $tries -ge "${START_TIMEOUT:-600}" ]; then
        echo "topic $name was not created" >&2
        break
      fi
      sleep 1
    done
  done
}

if [ -n "${KAFKA_CREATE_TOPICS:-}" ]; then create_topics & fi
exec kafka-server-start.sh "$properties"
