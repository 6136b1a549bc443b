# Starting the JVMs of the cluster in DIR and waiting for them. Sourced by scripts/hadoop.

# daemons prints the names of the cluster's daemons.
daemons() {
  local i nodemanagers
  nodemanagers=$(fact nodemanagers) || return 1
  echo namenode resourcemanager datanode
  for ((i = 1; i <= nodemanagers; i++)); do
    echo "nodemanager-$i"
  done
}

# check_host finds what is missing on this machine, before anything is started.
check_host() {
  [[ $(uname -s) == Linux ]] || die "needs Linux: it reads /proc, and NodeManagers listen on 127.0.0.2 and up"
  local tool
  for tool in curl flock setsid awk find; do
    command -v "$tool" >/dev/null || die "the command $tool is missing: install it"
  done
}

# find_java sets java, java_version and java_id, which is different for JVMs that can't share a class data archive.
find_java() {
  if [[ -n ${JAVA_HOME-} ]]; then
    java=$JAVA_HOME/bin/java
    [[ -x $java ]] || die "JAVA_HOME is $JAVA_HOME, which has no bin/java: correct or unset it"
  else
    java=$(command -v java) || die "no Java: install a JDK or JRE, version 11 to 22, or set JAVA_HOME"
  fi
  java=$(realpath "$java")
  local facts
  facts=$(cat "${java%/bin/java}/release" 2>/dev/null)
  [[ $facts == *JAVA_VERSION=* ]] || facts=$("$java" -version 2>&1) # costs a JVM start
  [[ $facts =~ (JAVA_VERSION=|version\ )\"([0-9]+)(\.([0-9]+))? ]] ||
    die "can't tell the version of $java from: ${facts%%$'\n'*}"
  java_version=${BASH_REMATCH[2]}
  ((java_version > 1)) || java_version=${BASH_REMATCH[4]} # "1.8" is Java 8
  ((java_version >= 11)) || die "$java is Java $java_version: version 11 to 22 is needed; set JAVA_HOME to one"
  ((java_version <= 22)) || die "$java is Java $java_version, where Hadoop doesn't run: set JAVA_HOME to version 11 to 22"
  java_id=$(cksum <<<"$java $facts")
  java_id=$java_version-${java_id%% *}
}

java_flags() {
  local flags=(
    -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError
    -Djava.net.preferIPv4Stack=true
    --add-opens=java.base/java.lang=ALL-UNNAMED
    --add-opens=java.base/java.util=ALL-UNNAMED
    --add-opens=java.base/java.net=ALL-UNNAMED
  )
  echo "${flags[@]}"
}

# class_path prints the jars in a fixed order, which the class data archive depends on.
class_path() {
  local jars=("$jar_dir"/*.jar) IFS=:
  echo "${jars[*]}"
}

daemon_class() {
  case $1 in
    namenode) echo org.apache.hadoop.hdfs.server.namenode.NameNode ;;
    datanode) echo org.apache.hadoop.hdfs.server.datanode.DataNode ;;
    resourcemanager) echo org.apache.hadoop.yarn.server.resourcemanager.ResourceManager ;;
    nodemanager-*) echo org.apache.hadoop.yarn.server.nodemanager.NodeManager ;;
  esac
}

daemon_heap() {
  case $1 in
    nodemanager-* | datanode) echo -Xmx200m ;;
    *) echo -Xmx256m ;;
  esac
}

daemon_conf() {
  case $1 in
    nodemanager-*) echo "$DIR/node-conf/${1#nodemanager-}" ;;
    *) echo "$DIR/conf" ;;
  esac
}

# daemon_port prints host:port of the daemon's main service.
daemon_port() {
  base=$(fact ports) || return 1
  case $1 in
    namenode) echo "127.0.0.1:$base" ;;
    datanode) echo "127.0.0.1:$((base + 4))" ;;
    resourcemanager) echo "127.0.0.1:$((base + 6))" ;;
    nodemanager-*) echo "$(node_host "${1#nodemanager-}"):$((base + 10))" ;;
  esac
}

# run_java replaces this (sub)shell by a JVM that has nothing of ours but its three standard streams: no descriptor, so
# that no pipe stays open and no lock held; no environment, since containers inherit a NodeManager's; no terminal.
# The lock on DIR is the last to be let go: whoever gets it sees the process by its arguments.
run_java() { # argument...
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    if ((fd > 2)) && [[ $fd != "${dir_lock-}" ]]; then
      eval "exec $fd>&-"
    fi
  done
  cd "$DIR" || exit 1
  mkdir -p data/tmp
  # shellcheck disable=SC2046
  set -- "$java" $(java_flags) -Djava.io.tmpdir="$DIR/data/tmp" -Dweft.hadoop.dir="$DIR" "$@"
  set -- env -i PATH="$PATH" LANG=C.UTF-8 USER="$(id -un)" LOGNAME="$(id -un)" JAVA_HOME="${java%/bin/java}" setsid "$@"
  if [[ -n ${dir_lock-} ]]; then
    exec "$@" {dir_lock}>&-
  fi
  exec "$@"
}

# launch starts a daemon and writes its pid file; it doesn't wait for it.
launch() { # daemon
  local conf archive=()
  conf=$(daemon_conf "$1")
  if [[ -n ${class_list-} ]]; then
    archive=(-Xshare:auto -XX:DumpLoadedClassList="$class_list.$1")
  elif [[ -s $archive_file ]]; then
    archive=(-Xshare:auto -XX:SharedArchiveFile="$archive_file" -Xlog:cds=off)
  fi
  # The configuration comes after the jars: an archive fits a class path that begins like its own.
  run_java "$(daemon_heap "$1")" "${archive[@]}" -Djdk.net.hosts.file="$conf/hosts" -Dhadoop.log.dir="$DIR/logs" \
    -cp "$(class_path):$conf:$jar_dir/classes" "$(daemon_class "$1")" \
    >>"$DIR/logs/$1.log" 2>&1 </dev/null &
  disown
  write_pid_file "$1" $!
}

log_tail() { # file
  say "the end of $1:"
  tail -n 15 "$1" 2>/dev/null | cut -c1-300 >&2
}

check_alive() {
  local daemon
  for daemon in $(daemons); do
    live_pid "$daemon" >/dev/null && continue
    log_tail "$DIR/logs/$daemon.log"
    die "$daemon ended before the cluster was ready"
  done
}

get() { curl --noproxy '*' -s -m 5 "http://127.0.0.1:$((base + $1))$2" 2>/dev/null; }

# hdfs_ready: out of safe mode, and a DataNode has reported how much it can hold.
hdfs_ready() {
  local state
  state=$(get 1 '/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState')
  [[ $state == *'"FSState" : "Operational"'* && $state =~ \"NumLiveDataNodes\"\ :\ [1-9] &&
    $state =~ \"CapacityTotal\"\ :\ [1-9] ]]
}

# active_nodes prints how many NodeManagers are RUNNING, or fails if the ResourceManager doesn't answer.
active_nodes() {
  [[ $(get 9 /ws/v1/cluster/metrics) =~ \"activeNodes\":([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

await_ready() { # seconds started
  local deadline nodemanagers active hdfs=no yarn=no
  deadline=$(($(now_ms) + $1 * 1000))
  nodemanagers=$(fact nodemanagers)
  while :; do
    if [[ $hdfs == no ]] && hdfs_ready; then
      hdfs=yes
      say "HDFS is ready ($(elapsed "$2"))"
    fi
    if [[ $yarn == no ]] && active=$(active_nodes) && ((active == nodemanagers)); then
      yarn=yes
      say "YARN is ready with $nodemanagers NodeManager(s) ($(elapsed "$2"))"
    fi
    [[ $hdfs == no || $yarn == no ]] || return 0
    check_alive
    (($(now_ms) < deadline)) ||
      die "not ready after $1 s: HDFS ready: $hdfs; NodeManagers running: ${active:-none} of $nodemanagers; see $DIR/logs"
    sleep 0.1
  done
}

# await_listening returns when a daemon's main port accepts.
await_listening() { # daemon seconds
  local deadline address
  deadline=$(($(now_ms) + $2 * 1000))
  address=$(daemon_port "$1")
  until (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null; do
    live_pid "$1" >/dev/null || { log_tail "$DIR/logs/$1.log"; die "start $1: it ended again"; }
    (($(now_ms) < deadline)) || die "start $1: it doesn't listen on $address after $2 s: see $DIR/logs/$1.log"
    sleep 0.1
  done
}
