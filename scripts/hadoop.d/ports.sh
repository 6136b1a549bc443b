# Ports for the cluster in DIR. Sourced by scripts/hadoop.
#
# A cluster gets a block of consecutive ports below the range from which the kernel gives ports to clients. The block is
# reserved by a file that names DIR, so that clusters coming up side by side, or with a daemon down, don't meet.

ports_per_block=20
first_block=20000
block_count=600

# reserve_ports chooses a block and remembers it as $base.
reserve_ports() {
  local registry="$cache_root/hadoop-ports" registry_lock round
  mkdir -p "$registry" || die "can't create $registry"
  exec {registry_lock}>"$registry/lock" || die "can't write to $registry"
  flock -w 30 "$registry_lock" || die "can't lock $registry/lock"
  local start=$((RANDOM % block_count))
  for ((round = 0; round < block_count; round++)); do
    base=$((first_block + (start + round) % block_count * ports_per_block))
    if block_unreserved "$registry/$base" && block_unused "$base"; then
      echo "$DIR" >"$registry/$base" || die "can't write to $registry"
      echo "ports=$base" >"$DIR/cluster"
      exec {registry_lock}>&-
      return
    fi
  done
  die "no $ports_per_block free ports in a row between $first_block and $((first_block + block_count * ports_per_block - 1))"
}

# block_unreserved says whether a block's reservation is absent or its directory knows nothing of it any more.
block_unreserved() {
  local owner
  { read -r owner <"$1"; } 2>/dev/null || return 0
  ! grep -qx "ports=${1##*/}" "$owner/cluster" 2>/dev/null
}

# block_unused says whether nobody listens on, or is connected from, a port of the block (06 is TIME_WAIT).
block_unused() {
  local port pattern=''
  for ((port = $1; port < $1 + ports_per_block; port++)); do
    pattern+=$(printf '|%04X' "$port")
  done
  ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qE "^ *[0-9]+: [0-9A-F]+:(${pattern#|}) [0-9A-F:]+ (0[^6]|[1-9A-F])"
}

release_ports() {
  local block
  block=$(fact ports) && rm -f "$cache_root/hadoop-ports/$block"
  return 0
}
