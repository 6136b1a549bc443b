# What all clusters of a user share, prepared once. Sourced by scripts/hadoop.
#
#   $cache/jars             Hadoop and its dependencies, from Maven Central, in one directory
#   $cache/image-USER       a formatted NameNode directory with /user and /tmp
#   $cache/archive-JAVA.jsa a class data archive (JVMs start in about half the time); empty if this Java can't make one
#
# Each is made under another name and renamed when complete, by the holder of $cache/lock, so that a run that is
# interrupted or has company never leaves or uses half of one.

cache_root=${WEFT_CACHE:-${XDG_CACHE_HOME:-${HOME-}/.cache}/weft}
pom="$lib/pom.xml"

# cache_paths names the cached files; java_id must be known. A changed pom.xml makes another cache.
cache_paths() {
  local sum
  [[ $cache_root == /* ]] || die "the cache directory \"$cache_root\" isn't absolute: set WEFT_CACHE"
  sum=$(cksum <"$pom") || die "can't read $pom"
  cache="$cache_root/hadoop-3.4.1-${sum%% *}"
  jar_dir="$cache/jars"
  image="$cache/image-$(id -un)"
  archive_file="$cache/archive-$java_id.jsa"
}

require_cache() {
  cache_paths
  [[ -d $jar_dir ]] || die "the jars in $cache are gone: run scripts/hadoop up again"
}

prepare_cache() {
  cache_paths
  local left=("$cache"/rehearsal.*) DIR=$DIR
  [[ -d $jar_dir && -d $image && -e $archive_file && ${#left[@]} == 0 ]] && return
  mkdir -p "$cache" || die "can't create the cache $cache: set WEFT_CACHE to a directory you can write to"
  local cache_lock
  exec {cache_lock}>"$cache/lock" || die "can't write to the cache $cache"
  if ! flock -n "$cache_lock"; then
    say "waiting for another run to fill the cache $cache"
    flock "$cache_lock" || die "can't lock $cache/lock"
  fi
  # A rehearsal that was killed has left its directory, perhaps with processes.
  for DIR in "$cache"/rehearsal.*; do
    end_rehearsal
  done
  [[ -d $jar_dir ]] || fetch_jars
  [[ -d $image && -e $archive_file ]] || rehearse
  exec {cache_lock}>&-
}

fetch_jars() {
  local started output
  command -v mvn >/dev/null || die "no Maven, which fetches Hadoop's jars: install it (the command is mvn)"
  started=$(now_ms)
  say "fetching Hadoop 3.4.1 with Maven into $cache (once)"
  rm -rf "$jar_dir.part"
  if ! output=$(JAVA_HOME=${java%/bin/java} mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$jar_dir.part" 2>&1); then
    grep -F '[ERROR]' <<<"$output" | head -n 5 | cut -c1-400 >&2
    die "Maven can't fetch Hadoop's jars, and $cache has none: see that Maven reaches a repository (a proxy or mirror goes into ~/.m2/settings.xml), then try again"
  fi
  # The HDFS daemons insist on their web applications, which their jar lacks: empty ones do.
  local app
  for app in hdfs datanode; do
    mkdir -p "$jar_dir.part/classes/webapps/$app/WEB-INF"
    echo '<web-app/>' >"$jar_dir.part/classes/webapps/$app/WEB-INF/web.xml"
  done
  mv -T "$jar_dir.part" "$jar_dir" || die "can't write to the cache $cache"
  say "fetched in $(elapsed "$started")"
}

# rehearse brings a cluster up in the cache, to keep its file system image and the list of classes it loads.
rehearse() {
  local DIR started status
  started=$(now_ms)
  say "preparing (once)"
  DIR=$(mktemp -d "$cache/rehearsal.XXXXXX") || die "can't write to the cache $cache"
  run_aside run_rehearsal
  status=$?
  end_rehearsal
  ((status == 0)) || exit $status
  say "prepared in $(elapsed "$started")"
}

end_rehearsal() {
  lock_dir 30
  sweep || die "processes of $DIR can't be ended: $(cluster_pids | xargs)"
  release_ports
  rm -rf "$DIR"
  exec {dir_lock}>&-
  dir_lock=''
}

run_rehearsal() {
  local daemon class_list="$DIR/classes"
  lock_dir 0
  mkdir -p "$DIR"/{conf,data,logs,pids,node-conf}
  reserve_ports
  write_facts 1 no
  write_sites
  if [[ -d $image ]]; then
    install_image
  else
    format_image
  fi
  for daemon in $(daemons); do
    launch "$daemon"
  done
  await_ready 180 "$(now_ms)"
  [[ -d $image ]] || create_top_directories
  # Backwards: a NodeManager insists on saying goodbye to the ResourceManager.
  for daemon in $(daemons | tac); do
    end_gracefully "$daemon"
  done
  if [[ ! -d $image ]]; then
    rm -f "$DIR/data/namenode/in_use.lock"
    mv -T "$DIR/data/namenode" "$image" || die "can't write to the cache $cache"
  fi
  [[ -e $archive_file ]] || make_archive
}

format_image() {
  (run_java -cp "$(class_path):$DIR/conf:$jar_dir/classes" "$(daemon_class namenode)" -format -nonInteractive) \
    >"$DIR/logs/format.log" 2>&1 </dev/null || { log_tail "$DIR/logs/format.log"; die "can't format the NameNode"; }
}

# create_top_directories makes /user and /tmp, in which every user may create what is his own.
create_top_directories() {
  local path answer
  for path in /user /tmp; do
    answer=$(curl --noproxy '*' -s -m 20 -X PUT \
      "http://127.0.0.1:$((base + 1))/webhdfs/v1$path?op=MKDIRS&permission=1777&user.name=$(id -un)")
    [[ $answer == *true* ]] || die "can't create $path in HDFS: $answer"
  done
}

# end_gracefully lets a JVM write its class list, which it does on exit.
end_gracefully() {
  local pid
  pid=$(live_pid "$1") || return 0
  kill -TERM "$pid"
  await_end "$pid" || die "$1 doesn't end"
}

# make_archive joins the daemons' class lists. Loader numbers differ between JVMs, and classes that an application made or
# loaded by itself can't be archived. An archive only saves time: without one there is an empty file, and no second try.
make_archive() {
  local lists=("$DIR"/classes.*)
  cat "${lists[@]}" | grep -v ' source: ' | sed 's/ id: [0-9]*$//' | awk '!seen[$0]++' >"$DIR/classes"
  if ! (run_java -Xmx1g -XX:-UseSerialGC -XX:+UseG1GC -Xshare:dump -XX:SharedClassListFile="$DIR/classes" \
    -XX:SharedArchiveFile="$DIR/archive.jsa" -cp "$(class_path)" </dev/null) >"$DIR/logs/archive.log" 2>&1; then
    say "this Java makes no class data archive: starts take longer"
    : >"$DIR/archive.jsa"
  fi
  mv -T "$DIR/archive.jsa" "$archive_file" || die "can't write to the cache $cache"
}

# install_image gives DIR a NameNode directory.
install_image() {
  cp -r "$image" "$DIR/data/namenode" || die "can't copy $image"
}
