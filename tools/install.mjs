// Installs what the lock file says, if it is not there yet. Plain JavaScript for any Node from 20 on: it runs before
// the project's own Node is there, as the first step of `npm start` and `npm test`.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}node_modules/.installed`
const isFresh =
  existsSync(stamp) &&
  ['package-lock.json', 'package.json'].every((name) => statSync(root + name).mtimeMs <= statSync(stamp).mtimeMs)
if (!isFresh) {
  console.error('installing what is missing …')
  // npm would warn that the packages want a newer Node; the newer Node is among what is installed.
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (npm.status !== 0) {
    console.error('npm ci failed, see above. It needs npm 10 or later and a package registry within reach.')
    process.exit(1)
  }
  writeFileSync(stamp, '')
}
