# Which processes belong to the cluster in DIR, and ending them. Sourced by scripts/hadoop.
#
# A daemon is known by its pid file and by the argument -Dweft.hadoop.dir=DIR, so that one whose pid file was never
# written is found too. A container is known by its working directory or environment, which lie in DIR/data.

# start_time prints the kernel's start time of a process: with it, a pid names one process for ever.
start_time() {
  local stat
  { read -r stat </proc/"$1"/stat; } 2>/dev/null || return 1
  stat=${stat##*) } # the command's name may hold spaces and brackets
  local fields
  read -ra fields <<<"$stat"
  [[ ${fields[0]} != Z && ${fields[0]} != X ]] || return 1
  echo "${fields[19]}"
}

write_pid_file() { # name pid
  echo "$2 $(start_time "$2")" >"$DIR/pids/$1"
}

# live_pid prints the pid of a daemon, or fails if it has none or another process has got its pid.
live_pid() {
  local pid started
  { read -r pid started <"$DIR/pids/$1"; } 2>/dev/null || return 1
  [[ $pid =~ ^[0-9]+$ && -n $started && $(start_time "$pid") == "$started" ]] || return 1
  echo "$pid"
}

daemon_state() {
  local pid
  pid=$(live_pid "$1") || { echo dead; return; }
  if grep -q '^State:[[:space:]]*T' "/proc/$pid/status" 2>/dev/null; then echo stopped; else echo running; fi
}

# daemon_pids prints the pids of DIR's JVMs. The patterns go in by a file, lest grep find itself.
daemon_pids() {
  grep -lzxF -f <(echo "-Dweft.hadoop.dir=$DIR") /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3
}

# cluster_pids prints the pids of DIR's JVMs and containers, with all their descendants. A process with a terminal is a
# person's, looking into DIR/data; this script and its ancestors are spared too.
cluster_pids() {
  local daemons containers
  daemons=$(daemon_pids)
  containers=$({
    grep -lzF -f <(echo "=$DIR/data/") /proc/[0-9]*/environ
    find /proc/[0-9]*/cwd -maxdepth 0 -lname "$DIR/data/*"
  } 2>/dev/null | cut -d/ -f3)
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v self=$$ -v daemons="${daemons//$'\n'/ }" -v containers="${containers//$'\n'/ }" '
    {
      pid = $1
      sub(/^.*\) /, "") # now $1 is the state, $2 the parent, $5 the terminal
      if ($1 == "Z" || $1 == "X") next
      parent[pid] = $2
      terminal[pid] = $5
    }
    END {
      for (p = self; p in parent; p = parent[p]) spared[p] = 1
      n = split(daemons, list, " ")
      for (i = 1; i <= n; i++) ours[list[i]] = 1
      n = split(containers, list, " ")
      for (i = 1; i <= n; i++) if (list[i] in parent && terminal[list[i]] == 0) ours[list[i]] = 1
      do {
        grown = 0
        for (p in parent) if (!(p in ours) && (parent[p] in ours)) { ours[p] = 1; grown = 1 }
      } while (grown)
      for (p in ours) if (p in parent && !(p in spared)) print p
    }'
}

# sweep kills all processes of DIR and returns when none is left, or fails after about ten seconds. It looks again after
# each round, since a NodeManager may have been launching a container, or up a JVM.
sweep() {
  local round pids
  for ((round = 0; round < 200; round++)); do
    pids=$(cluster_pids)
    [[ -n $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null
    sleep 0.05
  done
  return 1
}

# end_running_up ends an up that is still at work on DIR: it takes down what it started, unless it was killed itself and
# only the worker that it had set to the task is left.
end_running_up() {
  local pid
  if pid=$(live_pid up); then
    kill -TERM "$pid" 2>/dev/null
    await_end "$pid" || kill -KILL "$pid" 2>/dev/null
  fi
  if pid=$(live_pid up-worker); then
    kill -KILL "$pid" 2>/dev/null
    await_end "$pid"
  fi
}

# run_aside runs a function in a process of its own and waits for it; a signal kills that process at once. The function
# can't be the foreground: bash hears no signal while it waits for a command there, and breaks when it runs a trap while it
# expands another. What the function started is the caller's to end. Returns the function's status; signals stay ignored
# after one was heard, for the sake of that work, and the status is then 128 + the signal's number.
run_aside() { # function argument...
  local heard=0 status
  trap 'heard=129; kill -KILL "${!-}" 2>/dev/null' HUP
  trap 'heard=130; kill -KILL "${!-}" 2>/dev/null' INT
  trap 'heard=143; kill -KILL "${!-}" 2>/dev/null' TERM
  "$@" &
  ((heard == 0)) || kill -KILL $!
  wait $! 2>/dev/null
  status=$?
  if ((heard)); then
    trap '' HUP INT TERM
    wait $! 2>/dev/null
    say "interrupted"
    return $heard
  fi
  trap - HUP INT TERM
  return $status
}

# await_end returns when a process has ended, or fails after twenty seconds.
await_end() {
  local round started
  started=$(start_time "$1") || return 0
  for ((round = 0; round < 400; round++)); do
    [[ $(start_time "$1") == "$started" ]] || return 0
    sleep 0.05
  done
  return 1
}
