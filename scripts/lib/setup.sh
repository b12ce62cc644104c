# Set-up shared by scripts/test and scripts/demo; sourced, not run. For Debian 12 and its relatives;
# elsewhere it says what to install and goes on.

# lumina_heading <text>...
lumina_heading() { printf '\n=== %s\n' "$*"; }

# lumina_require_packages <package>...
#
# Installs those Debian packages that are missing; does nothing, and needs no network and no rights,
# when none is.
lumina_require_packages() {
  local missing=() package
  for package in "$@"; do
    if ! dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null |
      grep -qx installed; then
      missing+=("$package")
    fi
  done
  if ((${#missing[@]} == 0)); then return 0; fi

  if ! command -v apt-get >/dev/null; then
    echo "No apt-get here. Going on without checking for: ${missing[*]}" >&2
    return 0
  fi
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "Missing packages, and neither root nor sudo to install them. As root, run:" >&2
      echo "  apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing: ${missing[*]}"
  "${as_root[@]}" apt-get -qq update || return
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "${missing[@]}" >/dev/null
}
