#!/bin/sh
# Starts a session's program and leaves behind how it ended. Texts from outside arrive as
# arguments only and are never read as shell. Names begin with cto_ so that they cannot change
# a variable that the program was given.
#
#   wrapper.sh claim <folder> <stop file> <command…>   takes the run, then becomes <command…>
#   wrapper.sh run <folder> <max bytes> <program…>     runs the program, output to files
#   wrapper.sh command <program…>                      first process of a namespace
cto_stage=$1
shift
cto_path=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

# Field 22 of /proc/<pid>/stat, counted from behind the command's name, which may hold spaces.
start_time() {
  IFS=' ' read -r cto_stat <"/proc/$1/stat"
  IFS=' '
  # shellcheck disable=SC2086 # split on purpose
  set -- ${cto_stat##*) }
  shift 19
  printf '%s' "$1"
}

# The link is the claim: of two wrappers for one run only one can make it, and it holds the
# whole identity from its first instant. The stop file is looked at after it, so that whoever
# sets STOP and then reads the claims either finds this one or has been seen by it.
claim() {
  cto_folder=$1
  cto_stop=$2
  IFS= read -r cto_boot </proc/sys/kernel/random/boot_id
  cto_claim=$cto_folder/process.$$
  printf '{"bootId":"%s","pid":%s,"startTime":%s}\n' "$cto_boot" "$$" "$(start_time $$)" >"$cto_claim" || exit 73
  ln "$cto_claim" "$cto_folder/process.json" 2>/dev/null || {
    rm -f "$cto_claim"
    [ -e "$cto_folder/process.json" ] && exit 0
    exit 73
  }
  rm -f "$cto_claim"
  if [ -e "$cto_stop" ] || [ -L "$cto_stop" ]; then
    rm -f "$cto_folder/process.json"
    exit 75
  fi
  # Its end tells the one who started us that the claim is decided.
  exec 3>&-
}

# Keeps the first cto_max bytes of a stream and reads the rest into nothing: a reader that
# went away would end the program by SIGPIPE. dd passes each read on at once, and a count of
# reads of that size cannot exceed what is left; so it is started again only a few times.
keep() {
  trap '' TERM INT HUP
  cto_size=0
  while cto_left=$((cto_max - cto_size)) && [ "$cto_left" -gt 0 ]; do
    if [ "$cto_left" -ge 65536 ]; then
      cto_block=65536
    elif [ "$cto_left" -ge 512 ]; then
      cto_block=512
    else
      cto_block=$cto_left
    fi
    dd bs="$cto_block" count=$((cto_left / cto_block)) 2>/dev/null || break
    cto_before=$cto_size
    cto_size=$(wc -c <"$1")
    [ "$cto_size" -gt "$cto_before" ] || return 0
  done
  exec cat >/dev/null
}

run() {
  cto_folder=$1
  cto_max=$2
  shift 2
  # Caught, not ignored: what is ignored would be ignored in the program too.
  trap : TERM INT HUP USR1
  rm -f "$cto_folder/stdout.pipe" "$cto_folder/stderr.pipe"
  mkfifo -m 600 "$cto_folder/stdout.pipe" "$cto_folder/stderr.pipe" || exit 73
  keep "$cto_folder/stdout" <"$cto_folder/stdout.pipe" >>"$cto_folder/stdout" &
  cto_out=$!
  keep "$cto_folder/stderr" <"$cto_folder/stderr.pipe" >>"$cto_folder/stderr" &
  cto_err=$!
  (
    rm -f "$cto_folder/stdout.pipe" "$cto_folder/stderr.pipe"
    PATH=$cto_path
    exec "$@"
  ) </dev/null >"$cto_folder/stdout.pipe" 2>"$cto_folder/stderr.pipe"
  cto_code=$?
  # The last output comes before the exit, but a child that was left behind with the pipe in
  # its hands holds it up for two seconds at most.
  (
    trap 'kill "$cto_sleep"; exit' TERM
    sleep 2 &
    cto_sleep=$!
    wait
    kill -USR1 $$
  ) >/dev/null 2>&1 &
  cto_timer=$!
  wait "$cto_out" "$cto_err"
  kill "$cto_timer" 2>/dev/null
  printf '%s\n' "$cto_code" >"$cto_folder/exit.part" && mv "$cto_folder/exit.part" "$cto_folder/exit"
  exit "$cto_code"
}

case $cto_stage in
  claim)
    claim "$1" "$2"
    shift 2
    PATH=$cto_path
    exec "$@"
    ;;
  run)
    run "$@"
    ;;
  command)
    (
      PATH=$cto_path
      exec "$@"
    )
    exit $?
    ;;
esac
exit 64
