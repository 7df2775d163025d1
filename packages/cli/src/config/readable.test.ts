import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { silentLogger, type LogFields } from '@atoll/host'
import { loadConfig } from './config.ts'
import { warnOfReadable } from './readable.ts'

/** What is said of a configuration with this content, in a file of this mode. */
function warningOf(content: object, mode: number, env: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-readable-'))
  try {
    const file = join(folder, 'shop.json')
    writeFileSync(file, JSON.stringify(content))
    chmodSync(file, mode)
    const said: string[] = []
    const warn = ({ settings }: LogFields, message: string): void => void said.push(`${String(settings)}: ${message}`)
    warnOfReadable(loadConfig({ file, env }), { ...silentLogger, warn })
    return said.join('\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('a configuration that every account can read', () => {
  const secret = 'sixteen or more characters'

  it('is warned of when secrets lie in it, with what to do, and without them', () => {
    const warning = warningOf(
      { calls: { secret }, store: { url: 'postgres://shop:hush@db/shop' }, log: { url: 'nats://a:4222' } },
      0o644,
    )
    assert.match(warning, /^store\.url,calls\.secret: every account .*chmod o-r.*ATOLL_STORE_URL, ATOLL_CALLS_SECRET$/)
    assert.ok(!warning.includes('hush') && !warning.includes(secret))
  })

  it('is nothing to warn of where it holds no secret, or others cannot read it, or the secret comes from elsewhere', () => {
    assert.equal(warningOf({ calls: { port: 4101 }, store: { url: 'postgres://db/shop' } }, 0o644), '')
    for (const mode of [0o600, 0o640]) assert.equal(warningOf({ calls: { secret } }, mode), '')
    assert.equal(warningOf({ calls: { secret } }, 0o644, { ATOLL_CALLS_SECRET: `${secret}, another` }), '')
  })
})
