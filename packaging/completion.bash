# bash completion for qasphere-siem-forwarder. Commands and options are what the program's own --help lists.

_qasphere_siem_forwarder() {
  local program=$1 current=$2 previous=$3 command=${COMP_WORDS[1]}
  if ((COMP_CWORD == 1)); then
    local commands
    commands=$("$program" --help 2>/dev/null | sed -nE 's/^  ([a-z]+)  .*/\1/p')
    mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$current")
    return
  fi
  case $previous in
    -c | --config)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
  esac
  [[ $current == -* ]] || return
  local options
  options=$("$program" "$command" --help 2>/dev/null | sed -nE 's/^  (-., |    )(--[a-z-]+).*/\2/p')
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}
complete -F _qasphere_siem_forwarder qasphere-siem-forwarder
