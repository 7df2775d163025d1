import { existsSync } from 'node:fs'
import { AtollError } from '@atoll/host'
import { runCommand, tell } from './command.ts'

/** One after the other: apt-get has one lock. */
let last: Promise<unknown> = Promise.resolve()
let isUpdated = false

/**
 * Installs a Debian package, and does not let it start a service. Throws with what to do where that is not possible.
 */
export function installPackage(name: string): Promise<void> {
  const installed = last.then(() => install(name))
  last = installed.catch(() => {}) // whose error it is, has it
  return installed
}

async function install(name: string): Promise<void> {
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    throw new AtollError(
      'UNSUPPORTED',
      `${name} is not installed, and only root on Debian or Ubuntu can install it from here; install ${name} by your package manager, or use Docker`,
    )
  }
  tell(`installing ${name} (apt-get) …`)
  await runCommand('sh', ['-c', SCRIPT, 'install', name, isUpdated ? '' : 'update'], {
    env: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    boundMs: INSTALL_MS,
  })
  isUpdated = true
}

/**
 * A policy of 101 forbids the start of services; it is taken away again if it is ours. Another apt-get that is at work
 * is waited for.
 */
const SCRIPT = `set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap "rm -f $policy" EXIT INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' >$policy
  chmod +x $policy
fi
[ -z "$2" ] || apt-get -qq -o DPkg::Lock::Timeout=300 update
apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1"`

const INSTALL_MS = 600_000
