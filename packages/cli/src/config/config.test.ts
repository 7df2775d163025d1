import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { defaultLimits } from '@atoll/gateway'
import { AtollError } from '@atoll/host'
import { describeConfig, loadConfig, type Config } from './config.ts'
import { keys, variableOf, type Key } from './settings.ts'

const secret = 'sixteen or more characters'

/** Reads a file of this content, and an environment. */
function load(
  content: unknown,
  env: Record<string, string> = {},
  options: Record<string, { key: Key; text: string }> = {},
): Config {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-config-'))
  try {
    const file = join(folder, 'shop.json')
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
    return loadConfig({ file, env, options })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What is said of it; fails if nothing is. */
function refusal(content: unknown, env: Record<string, string> = {}): string {
  try {
    load(content, env)
  } catch (error) {
    assert.ok(error instanceof AtollError && error.code === 'CONFIG_INVALID')
    return error.reason
  }
  return assert.fail('it was taken')
}

/** One wrong value for each setting, as a file has it and as a variable. */
const wrong: Readonly<Record<Key, readonly [unknown, string | undefined]>> = {
  system: [7, undefined],
  instance: ['a b', 'a b'],
  'store.url': ['mysql://u:hush@h', 'mysql://u:hush@h'],
  'log.url': ['mqtt://u:hush@h', 'mqtt://u:hush@h'],
  'log.replicas': [0, '0'],
  'log.monitoring': ['http://a:8222', 'a:8222'],
  'calls.host': ['', undefined],
  'calls.port': [70_000, '70000'],
  'calls.secret': ['hush', 'hush'],
  'calls.trustEveryLocalAccount': ['yes', 'yes'],
  'calls.advertise': ['10.0.0.7:4100', '10.0.0.7'],
  'gateway.host': [1, undefined],
  'gateway.port': ['4000', 'four'],
  'gateway.bodyBytesMax': [2 ** 29 + 1, '536870913'],
  'gateway.bodyDepthMax': [501, '501'],
  'gateway.bodyValuesMax': [0, '0'],
  'gateway.answerBytesMax': [0, '0'],
  'gateway.headerBytesMax': [0, '0'],
  'gateway.headersTimeoutMs': [2 ** 31, '2147483648'],
  'gateway.requestTimeoutMs': [0, '0'],
  'gateway.keepAliveTimeoutMs': [0, '0'],
  'gateway.requestsInFlightMax': [0, '0'],
  'gateway.connectionsMax': [0, '0'],
  'gateway.pipelinedMax': [-1, '-1'],
  'gateway.pipelinedTotalMax': [-1, '-1'],
  'gateway.answerTimeoutMs': [0, '0'],
  'gateway.unsentBytesMax': [0, '0'],
  'gateway.arrivingBytesMax': [0, '0'],
  'gateway.lingerMs': [-1, '-1'],
  'gateway.deadlineMs': [0, '0'],
  'gateway.positionsMax': [0, '0'],
  'gateway.positionAgeMsMax': [0, '0'],
  'gateway.addressWaitMs': [-1, '-1'],
  'discovery.static': [{ articles: 'http://a' }, 'articles'],
  'discovery.dns': ['shop.svc', 'shop.svc'],
  'discovery.registry': ['registry', 'registry'],
  accept: ['nats.sync-interval', undefined],
  survive: [['fire'], 'fire'],
  drainMs: [-1, '-1'],
  loopStallMsMax: [-1, '-1'],
  'logging.level': ['loud', 'loud'],
  'runtime.partitions': [0, '0'],
  'runtime.leaseMs': ['soon', 'soon'],
  'runtime.attemptsMax': [1.5, '1.5'],
  'runtime.retryDelayMs': [null, '1e999'],
  'runtime.retryDelayMsMax': [0, '-'],
  'runtime.readBatchMax': [0, '0'],
  'runtime.handlingsInFlightMax': [0, '0'],
  'runtime.retriesInFlightMax': [0, '0'],
  'runtime.handlingMs': [0, '0'],
  'runtime.readAheadMax': [0, '0'],
  'runtime.lostNumbersMax': [0, '0'],
  'runtime.commandsWhenOutdated': [true, 'keep'],
  'runtime.operationsInFlightMax': [0, '0'],
  'runtime.relayBatchMax': [0, '0'],
  'runtime.relayTidyMs': [0, '0'],
  'runtime.causalWaitMs': [0, '0'],
  'runtime.causalWaitsMax': [0, '0'],
  'runtime.positionLookMs': [0, '0'],
  'runtime.deadlineMs': [0, ' '],
  'runtime.answersKeptMs': [0, '0'],
  'runtime.discardedKeptMs': [0, '0'],
  'runtime.auditMs': [0, '0'],
  'runtime.lookMs': [0, '0x'],
}

describe('the configuration', () => {
  it('is read from the file, the environment over it, the command line over that, and says what came from where', () => {
    const config = load(
      {
        $schema: 'ignored',
        store: { url: 'postgres://shop@db/shop' },
        calls: { port: 4101, host: '10.0.0.7' },
        runtime: { leaseMs: 3_000 },
        accept: ['nats.replicas'],
      },
      {
        ATOLL_CALLS_PORT: '4102',
        PORT: '8080',
        ATOLL_RUNTIME_LOOK_MS: '100',
        ATOLL_DISCOVERY_STATIC: 'articles=http://a:1,http://b:2; profiles=http://c:3',
        ATOLL_ACCEPT: 'a, b',
        ATOLL_INSTANCE: '',
      },
      { '--calls-port': { key: 'calls.port', text: '4103' } },
    )
    assert.deepEqual(config.values, {
      'store.url': 'postgres://shop@db/shop',
      'calls.port': 4103,
      'calls.host': '10.0.0.7',
      'runtime.leaseMs': 3_000,
      accept: ['a', 'b'],
      'gateway.port': 8080,
      'runtime.lookMs': 100,
      'discovery.static': { articles: ['http://a:1', 'http://b:2'], profiles: ['http://c:3'] },
    })
    const { origins } = config
    assert.match(origins['store.url']!, /shop\.json$/)
    assert.deepEqual(
      [origins['calls.port'], origins['gateway.port'], origins.accept, origins.instance],
      ['--calls-port', 'PORT', 'ATOLL_ACCEPT', undefined],
    )
  })

  it('names the key, the place and what is expected, for each setting that is wrong, in a file and in the environment', () => {
    for (const key of keys) {
      const [value, text] = wrong[key]
      const [section, name] = key.split('.') as [string, string?]
      const inFile = refusal(name === undefined ? { [section]: value } : { [section]: { [name]: value } })
      assert.ok(
        inFile.includes(`${key} in `) && /shop\.json: expected /.test(inFile) && !inFile.includes('\n'),
        `${key}: ${inFile}`,
      )
      if (text === undefined) continue
      const inEnvironment = refusal({}, { [variableOf(key)]: text })
      assert.ok(inEnvironment.startsWith(`${variableOf(key)} (${key}): expected `), `${key}: ${inEnvironment}`)
      for (const said of [inFile, inEnvironment]) assert.ok(!said.includes('hush'), said)
    }
  })

  it('has a setting for each limit of the gateway, with its default', () => {
    const rows = describeConfig(load({}))
    for (const [name, value] of Object.entries(defaultLimits))
      assert.equal(rows.find(({ key }) => key === `gateway.${name}`)?.value, String(value), name)
  })

  it('says everything that is wrong at once', () => {
    assert.equal(
      refusal({ calls: { port: -1 }, runtime: { leaseMs: 0 } }, { ATOLL_LOG_URL: 'x' }).split('\n').length,
      3,
    )
  })

  it('refuses what it does not know, and guesses what was meant', () => {
    assert.match(
      refusal({ store: { uri: 'postgres://x' } }),
      /store\.uri in .*shop\.json: there is no such setting; is store\.url \(ATOLL_STORE_URL\) meant\?/,
    )
    assert.match(refusal({ runtime: { lease: 1 } }), /is runtime\.leaseMs/)
    assert.match(refusal({ calls: { everything: 1 } }), /there are calls\.host, calls\.port/)
    assert.match(refusal({ nonsense: true }), /`atoll config` prints/)
    assert.match(refusal({ calls: 4100 }), /calls in .*: expected an object with host, port/)
    assert.match(
      refusal({}, { ATOLL_LOG_LEVEL: 'loud' }),
      /^ATOLL_LOG_LEVEL: there is no such variable; is logging\.level \(ATOLL_LOGGING_LEVEL\) meant\?/,
    )
    assert.match(refusal({ log: { leaseMs: 1 } }), /is runtime\.leaseMs/)
    assert.match(
      refusal({}, { ATOLL_LOG_SPEED: 'fast' }),
      /^ATOLL_LOG_SPEED: there is no such variable; there are log\.url, /,
    )
    assert.match(
      refusal({}, { ATOLL_STORE_URI: 'postgres://x' }),
      /^ATOLL_STORE_URI: there is no such variable; is store\.url \(ATOLL_STORE_URL\) meant\?/,
    )
    assert.match(refusal('{"a": }'), /shop\.json is not well-formed JSON/)
    assert.match(refusal('[]'), /must hold one JSON object/)
    assert.throws(
      () => loadConfig({ file: 'nowhere.json', env: {} }),
      /CONFIG_INVALID: there is no file .*nowhere\.json/,
    )
    assert.throws(
      () => loadConfig({ file: import.meta.dirname, env: {} }),
      /CONFIG_INVALID: .* cannot be read by this account, or is no file: EISDIR/,
    )
  })

  it('takes decimal digits for a number, and shows what else was given', () => {
    for (const given of ['x', '1e999', ' ', '0x1F', '0b11', '1e3', ' 80', '80 ', '+80', '80.0', '8_0', '\u0661']) {
      assert.equal(
        refusal({}, { PORT: given }),
        `PORT, for gateway.port: expected a port from 0 to 65535; 0 takes a free one, not "${given}"`,
      )
      assert.ok(
        refusal({}, { ATOLL_RUNTIME_LOOK_MS: given }).endsWith(`expected a whole number from 1 on, not "${given}"`),
      )
    }
  })

  it('lets instances be found in one way', () => {
    assert.match(
      refusal({ discovery: { dns: 'http://{service}:1' } }, { ATOLL_DISCOVERY_REGISTRY: 'http://r:1' }),
      /discovery\.dns \(.*shop\.json\) and discovery\.registry \(ATOLL_DISCOVERY_REGISTRY\) are both set/,
    )
  })

  it('knows what Kubernetes puts into an environment', () => {
    load(
      {},
      {
        ATOLL_GATEWAY_SERVICE_HOST: '10.0.0.1',
        ATOLL_GATEWAY_SERVICE_PORT: '80',
        ATOLL_STORE_PORT_5432_TCP: 'tcp://10.0.0.1:5432',
        ATOLL_ENGINE_NATS: 'nats://x',
        ATOLL_LOG_PORT: 'tcp://10.0.0.1:1',
      },
    )
    assert.match(
      refusal({}, { ATOLL_GATEWAY_PORT: 'tcp://10.0.0.1:80' }),
      /ATOLL_GATEWAY_PORT \(gateway\.port\): .*enableServiceLinks: false/,
    )
  })

  it('means paths in a file from where the file is', () => {
    const { values, file } = load({ system: 'src/system.ts', store: { url: 'sqlite:data' } })
    const folder = file!.slice(0, -'/shop.json'.length)
    assert.deepEqual(
      [values.system, values['store.url']],
      [join(folder, 'src/system.ts'), `sqlite:${join(folder, 'data')}`],
    )
  })

  it('shows everything that is in force, and no secret', () => {
    const rows = describeConfig(
      load(
        { store: { url: 'postgres://shop:hush@db/shop?sslpassword=hush&sslmode=require' }, calls: { secret } },
        { ATOLL_LOG_URL: 'nats://hush@a:4222,u:hush@b:4222' },
      ),
    )
    assert.equal(rows.length, keys.length)
    const text = JSON.stringify(rows)
    assert.ok(!text.includes('hush') && !text.includes(secret), text)
    const shown = Object.fromEntries(rows.map(({ key, value }) => [key, value]))
    assert.deepEqual(
      [shown['store.url'], shown['log.url'], shown['calls.secret'], shown['runtime.leaseMs']],
      ['postgres://shop:***@db/shop?sslpassword=***&sslmode=require', 'nats://***@a:4222,u:***@b:4222', '***', '10000'],
    )
  })
})
