import { existsSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { AtollError } from '@atoll/host'
import { nearestOf } from '../nearest.ts'
import { maskSecrets } from '../secrets.ts'
import { isKey, keys, settingOf, settings, variableOf, type Key, type Values } from './settings.ts'

/** What is set, and by what. */
export interface Config {
  readonly values: Values
  /** Where each value that is set comes from: a file, a variable, an option of the command line. */
  readonly origins: Readonly<Partial<Record<Key, string>>>
  /** The file that was read, absolute; undefined if there was none. */
  readonly file: string | undefined
}

export interface ConfigSources {
  /** The file that was named; without it, `atoll.json` here, if there is one. */
  readonly file?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Of the command line, which goes before everything else: option → key and text. */
  readonly options?: Readonly<Record<string, { readonly key: Key; readonly text: string | undefined }>>
}

/**
 * Reads the configuration: the file, over it the environment, over that the command line. Throws CONFIG_INVALID with
 * everything that is wrong, each with its key and where it stands; never with a value that may be a secret.
 */
export function loadConfig({ file, env = process.env, options = {} }: ConfigSources = {}): Config {
  const collected = new Collected()
  const path = resolve(file ?? FILE)
  const isThere = existsSync(path)
  if (file !== undefined && !isThere) throw new AtollError('CONFIG_INVALID', `there is no file ${path}`)
  if (isThere) readFile(path, collected)
  readEnvironment(env, collected)
  for (const [option, { key, text }] of Object.entries(options))
    if (text !== undefined) collected.setText(key, text, option, process.cwd())
  collected.settle()
  return { values: collected.values, origins: collected.origins, file: isThere ? path : undefined }
}

class Collected {
  readonly #values: Record<string, unknown> = {}
  readonly origins: Partial<Record<Key, string>> = {}
  readonly #problems: string[] = []

  get values(): Values {
    return this.#values
  }

  set(key: Key, value: unknown, origin: string, place: string, base: string): void {
    const setting = settingOf(key)
    const parsed = setting.schema.safeParse(value)
    if (!parsed.success) return this.refuse(`${place}: expected ${setting.expects}${given(key, value)}`)
    const settled = setting.isPath
      ? resolve(base, String(parsed.data))
      : key === 'store.url'
        ? resolveFolder(base, String(parsed.data))
        : parsed.data
    this.#values[key] = settled
    this.origins[key] = origin
  }

  setText(key: Key, text: string, origin: string, base: string): void {
    const hint =
      text.startsWith('tcp://') && key.endsWith('port')
        ? '. Kubernetes sets this for a service of that name: set enableServiceLinks: false for the pod'
        : ''
    const before = this.#problems.length
    this.set(
      key,
      settingOf(key).fromText(text),
      origin,
      origin === variableOf(key) ? `${origin} (${key})` : `${origin}, for ${key}`,
      base,
    )
    if (hint !== '' && this.#problems.length > before) this.#problems.push(`${this.#problems.pop()!}${hint}`)
  }

  refuse(problem: string): void {
    this.#problems.push(problem)
  }

  /** Throws if anything was wrong, or does not go together. */
  settle(): void {
    const found = (['discovery.static', 'discovery.dns', 'discovery.registry'] as const).filter(
      (key) => this.values[key] !== undefined,
    )
    if (found.length > 1)
      this.refuse(
        `${found.map((key) => `${key} (${this.origins[key]})`).join(' and ')} are both set: instances are found in one way`,
      )
    if (this.#problems.length > 0) throw new AtollError('CONFIG_INVALID', this.#problems.join('\n'))
  }
}

function readFile(path: string, collected: Collected): void {
  const name = relative(process.cwd(), path) || path
  const refusal = (what: string, error: unknown): AtollError =>
    new AtollError('CONFIG_INVALID', `${name} ${what}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  let text: string
  let content: unknown
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw refusal('cannot be read by this account, or is no file', error)
  }
  try {
    content = JSON.parse(text)
  } catch (error) {
    throw refusal('is not well-formed JSON', error)
  }
  if (!isObject(content)) throw new AtollError('CONFIG_INVALID', `${name} must hold one JSON object`)
  const { $schema: _, ...rest } = content // editors put it there
  walk(rest, '', name, dirname(path), collected)
}

function walk(
  content: Record<string, unknown>,
  prefix: string,
  name: string,
  base: string,
  collected: Collected,
): void {
  for (const [part, value] of Object.entries(content)) {
    const key = prefix + part
    if (isKey(key)) collected.set(key, value, name, `${key} in ${name}`, base)
    else if (!keys.some((one) => one.startsWith(`${key}.`)))
      collected.refuse(`${key} in ${name}: there is no such setting${nearest(key)}`)
    else if (isObject(value)) walk(value, `${key}.`, name, base, collected)
    else collected.refuse(`${key} in ${name}: expected an object with ${sectionOf(key).join(', ')}`)
  }
}

function readEnvironment(env: Readonly<Record<string, string | undefined>>, collected: Collected): void {
  const known = new Map<string, Key>()
  for (const key of keys)
    for (const variable of [...(settingOf(key).variables ?? []), variableOf(key)]) known.set(variable, key)
  // Ours last, so that it goes before one that others have made known.
  for (const [variable, key] of known)
    if (env[variable] !== undefined && env[variable] !== '')
      collected.setText(key, env[variable], variable, process.cwd())
  for (const variable of Object.keys(env)) {
    if (known.has(variable) || !section.test(variable) || fromKubernetes.test(variable)) continue
    // A misspelt address would else be passed over, and data written to where nobody looks for them.
    collected.refuse(
      `${variable}: there is no such variable${nearest(variable.slice('ATOLL_'.length).toLowerCase().replace('_', '.'))}`,
    )
  }
}

const section = /^ATOLL_(?:STORE|LOG|CALLS|GATEWAY|DISCOVERY|RUNTIME|LOGGING)_/
/** What Kubernetes sets for a service called `atoll-…`. */
const fromKubernetes = /_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP)(?:_\w+)?|PORT)$/

/** What was given, where it can be shown. */
function given(key: Key, value: unknown): string {
  const mayHoldSecret =
    settingOf(key).isSecret ||
    key.endsWith('url') ||
    key.startsWith('discovery.') ||
    key === 'log.monitoring' ||
    key === 'calls.advertise'
  return mayHoldSecret ? '' : `, not ${JSON.stringify(value)}`
}

function nearest(unknown: string): string {
  const meant = nearestOf(unknown, keys) ?? ofAnotherSection(unknown)
  if (meant !== undefined) return `; is ${meant} (${variableOf(meant)}) meant?`
  const own = sectionOf(unknown.split('.')[0]!)
  return own.length > 0
    ? `; there are ${own.map((name) => `${unknown.split('.')[0]}.${name}`).join(', ')}`
    : `; \`atoll config\` prints those there are`
}

/** The only setting that is called so in its section: `log.level` is `logging.level`. */
function ofAnotherSection(unknown: string): Key | undefined {
  const name = /\.\w+$/.exec(unknown)?.[0]
  const called = name === undefined ? [] : keys.filter((key) => key.toLowerCase().endsWith(name.toLowerCase()))
  return called.length === 1 ? called[0] : undefined
}

function sectionOf(name: string): string[] {
  return keys.filter((key) => key.startsWith(`${name}.`)).map((key) => key.slice(name.length + 1))
}

function resolveFolder(base: string, url: string): string {
  const folder = /^sqlite:(.*)$/.exec(url)?.[1]
  return folder === undefined ? url : `sqlite:${resolve(base, folder)}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Read, if none is named. */
const FILE = 'atoll.json'

/** What is in force, one row per setting, with secrets masked. */
export function describeConfig({ values, origins }: Config): ConfigRow[] {
  return keys.map((key) => {
    const value = values[key]
    return {
      key,
      value: value === undefined ? settings[key].otherwise : show(key, value),
      from: origins[key] ?? 'default',
      variable: variableOf(key),
      meaning: settings[key].meaning,
    }
  })
}

export interface ConfigRow {
  readonly key: Key
  readonly value: string
  readonly from: string
  readonly variable: string
  readonly meaning: string
}

function show(key: Key, value: unknown): string {
  if (settingOf(key).isSecret) return '***'
  return typeof value === 'string'
    ? maskSecrets(value)
    : JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? maskSecrets(inner) : inner))
}
