# The site files of the cluster in DIR. Sourced by scripts/hadoop.
#
# DIR/conf serves the NameNode, the DataNode, the ResourceManager and clients; each NodeManager has its own copy in
# DIR/node-conf/I, with its addresses and directories added.

site_files=(core-site hdfs-site yarn-site capacity-scheduler)

# site holds the properties to write, by "FILE KEY". own holds those that the script depends on, which --set can't change.
declare -A site own

# check_settings finds what is wrong with --set before anything is done. Ports don't matter for it.
check_settings() { # setting...
  local setting key
  local DIR=/ base=0
  core_site yes
  hdfs_site
  yarn_site
  node_site 1
  for setting in "$@"; do
    [[ $setting =~ ^([a-z0-9-]+):([A-Za-z0-9._-]+)=(.*)$ ]] || die_usage "--set needs FILE:KEY=VALUE, not \"$setting\""
    key="${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
    [[ " ${site_files[*]} " == *" ${key% *} "* ]] ||
      die_usage "--set $setting: unknown file ${key% *}: choose one of ${site_files[*]}"
    [[ -z ${own["$key"]-} ]] || die_usage "--set $setting: ${key#* } is this script's own"
  done
}

put() { # file key=value...
  local file=$1 property
  shift
  for property in "$@"; do
    site["$file ${property%%=*}"]=${property#*=}
  done
}

put_own() { # file key=value...
  put "$@"
  local file=$1 property
  shift
  for property in "$@"; do
    own["$file ${property%%=*}"]=1
  done
}

# write_facts remembers what the cluster consists of in DIR/cluster, as key=value; fact reads it.
write_facts() { # nodemanagers racks
  cat >>"$DIR/cluster" <<EOT
nodemanagers=$1
racks=$2
rest=http://127.0.0.1:$((base + 9))
namenode=127.0.0.1:$base
namenode-web=http://127.0.0.1:$((base + 1))
datanode-web=http://127.0.0.1:$((base + 3))
script=${lib%.d}
EOT
}

fact() { # key
  local line
  while read -r line; do
    [[ ${line%%=*} == "$1" ]] && { echo "${line#*=}"; return 0; }
  done 2>/dev/null <"$DIR/cluster"
  return 1
}

# node_host prints the address of a NodeManager, which is its host name too.
node_host() { echo "127.0.0.$(($1 + 1))"; }

core_site() {
  put_own core-site \
    fs.defaultFS="hdfs://127.0.0.1:$base" \
    hadoop.tmp.dir="$DIR/data/tmp"
  # Daemons come up together: they must find each other within a fraction of a second, not at the default's whole seconds.
  put core-site \
    ipc.client.connect.retry.interval=100 \
    ipc.client.connect.max.retries=50
  if [[ $1 == yes ]]; then
    put_own core-site \
      net.topology.node.switch.mapping.impl=org.apache.hadoop.net.TableMapping \
      net.topology.table.file.name="$DIR/conf/topology"
  fi
}

hdfs_site() {
  put_own hdfs-site \
    dfs.namenode.http-address="127.0.0.1:$((base + 1))" \
    dfs.datanode.address="127.0.0.1:$((base + 2))" \
    dfs.datanode.http.address="127.0.0.1:$((base + 3))" \
    dfs.datanode.ipc.address="127.0.0.1:$((base + 4))" \
    dfs.namenode.name.dir="file://$DIR/data/namenode" \
    dfs.datanode.data.dir="file://$DIR/data/datanode"
  # The NameNode leaves safe mode as soon as the DataNode is there. Little disk space is no reason to stop.
  put hdfs-site \
    dfs.replication=1 \
    dfs.permissions.enabled=true \
    dfs.namenode.safemode.extension=0 \
    dfs.namenode.safemode.min.datanodes=1 \
    dfs.namenode.resource.du.reserved=1048576 \
    dfs.datanode.du.reserved=0
}

yarn_site() {
  put_own yarn-site \
    yarn.resourcemanager.hostname=127.0.0.1 \
    yarn.resourcemanager.address="127.0.0.1:$((base + 5))" \
    yarn.resourcemanager.scheduler.address="127.0.0.1:$((base + 6))" \
    yarn.resourcemanager.resource-tracker.address="127.0.0.1:$((base + 7))" \
    yarn.resourcemanager.admin.address="127.0.0.1:$((base + 8))" \
    yarn.resourcemanager.webapp.address="127.0.0.1:$((base + 9))" \
    yarn.resourcemanager.fs.state-store.uri="file://$DIR/data/resourcemanager"
  # A restarted ResourceManager finds its applications again, and allocates almost at once.
  put yarn-site \
    yarn.resourcemanager.recovery.enabled=true \
    yarn.resourcemanager.store.class=org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore \
    yarn.resourcemanager.work-preserving-recovery.enabled=true \
    yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms=200 \
    yarn.resourcemanager.connect.retry-interval.ms=200
  # Silent nodes and ApplicationMasters are given up in seconds, not in ten minutes; applications may ask for more attempts.
  put yarn-site \
    yarn.nm.liveness-monitor.expiry-interval-ms=20000 \
    yarn.am.liveness-monitor.expiry-interval-ms=30000 \
    yarn.resourcemanager.am.global.max-attempts=10
  put yarn-site \
    yarn.nodemanager.resource.memory-mb=4096 \
    yarn.nodemanager.resource.cpu-vcores=8 \
    yarn.scheduler.minimum-allocation-mb=64 \
    yarn.nodemanager.vmem-check-enabled=false \
    yarn.nodemanager.pmem-check-enabled=false \
    yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage=100
}

# A second queue, elastic like the first, for tests that name one.
capacity_scheduler() {
  put capacity-scheduler \
    yarn.scheduler.capacity.maximum-am-resource-percent=0.8 \
    yarn.scheduler.capacity.root.queues=default,batch \
    yarn.scheduler.capacity.root.default.capacity=80 \
    yarn.scheduler.capacity.root.default.maximum-capacity=100 \
    yarn.scheduler.capacity.root.default.user-limit-factor=10 \
    yarn.scheduler.capacity.root.batch.capacity=20 \
    yarn.scheduler.capacity.root.batch.maximum-capacity=100 \
    yarn.scheduler.capacity.root.batch.user-limit-factor=10
}

# node_site puts what is NodeManager I's own. All may use the same ports, their addresses differ.
node_site() {
  local host
  host=$(node_host "$1")
  put_own yarn-site \
    yarn.nodemanager.hostname="$host" \
    yarn.nodemanager.address="$host:$((base + 10))" \
    yarn.nodemanager.localizer.address="$host:$((base + 11))" \
    yarn.nodemanager.webapp.address="$host:$((base + 12))" \
    yarn.nodemanager.collector-service.address="$host:$((base + 13))" \
    yarn.nodemanager.local-dirs="$DIR/data/nodemanager-$1/local" \
    yarn.nodemanager.log-dirs="$DIR/logs/userlogs/nodemanager-$1"
}

# The quotes keep newer versions of bash from reading & as "what was found".
xml_escape() {
  local text=${1//&/'&amp;'}
  text=${text//</'&lt;'}
  printf '%s' "${text//>/'&gt;'}"
}

write_site() { # directory file
  local key
  {
    echo '<?xml version="1.0" encoding="UTF-8"?>'
    echo '<configuration>'
    for key in "${!site[@]}"; do
      [[ ${key% *} == "$2" ]] || continue
      printf '  <property><name>%s</name><value>%s</value></property>\n' "${key#* }" "$(xml_escape "${site["$key"]}")"
    done | sort
    echo '</configuration>'
  } >"$1/$2.xml" || die "can't write $1/$2.xml"
}

# write_sites writes all configuration. A node's properties are put last, so that DIR/conf is free of them.
write_sites() { # setting...
  local file i nodemanagers racks setting
  nodemanagers=$(fact nodemanagers)
  racks=$(fact racks)
  site=()
  core_site "$racks"
  hdfs_site
  yarn_site
  capacity_scheduler
  for setting in "$@"; do
    put "${setting%%:*}" "${setting#*:}"
  done
  for file in "${site_files[@]}"; do
    write_site "$DIR/conf" "$file"
  done
  write_log4j
  write_hosts "$nodemanagers"
  if [[ $racks == yes ]]; then
    for ((i = 1; i <= nodemanagers; i++)); do
      echo "$(node_host "$i") /rack-$i"
    done >"$DIR/conf/topology"
  fi
  for ((i = 1; i <= nodemanagers; i++)); do
    mkdir -p "$DIR/node-conf/$i" "$DIR/data/nodemanager-$i/local" "$DIR/logs/userlogs/nodemanager-$i"
    cp "$DIR"/conf/* "$DIR/node-conf/$i/"
    node_site "$i"
    write_site "$DIR/node-conf/$i" yarn-site
  done
}

write_log4j() {
  cat >"$DIR/conf/log4j.properties" <<'EOT'
log4j.rootLogger=INFO,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{2} [%t]: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
EOT
}

# write_hosts writes the only names the JVMs can resolve. Without it, what 127.0.0.2 is called, and so a NodeManager's host
# name, would be up to the machine's name services.
write_hosts() {
  local i
  {
    echo "127.0.0.1 localhost"
    echo "127.0.0.1 $(uname -n)"
    for ((i = 1; i <= $1; i++)); do
      echo "$(node_host "$i") $(node_host "$i")"
    done
  } >"$DIR/conf/hosts"
}
