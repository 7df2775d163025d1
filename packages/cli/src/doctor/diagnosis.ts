import { AtollError, type Examination, type Finding, type Mishap } from '@atoll/host'

/** What the settings of a system's engines come to. */
export interface Diagnosis {
  /** Of the stores and of the log, in this order. */
  readonly engines: readonly ExaminedEngine[]
  /** What holds after which mishap, promise by promise. */
  readonly promises: readonly PromiseRow[]
  /** Findings that break a promise and that nobody has accepted by name. */
  readonly broken: readonly Finding[]
  /** Findings that break a promise and have been accepted. */
  readonly accepted: readonly Finding[]
  /** Names that were accepted and fit no finding: a typo, or something that is mended by now. */
  readonly idle: readonly string[]
}

/** What the operator has said. */
export interface Expectations {
  /** Names of findings that are accepted although they break a promise. */
  readonly accept?: readonly string[] | undefined
  /** Mishaps to which nothing that was acknowledged may be lost. */
  readonly survive?: readonly Mishap[] | undefined
}

export interface ExaminedEngine extends Examination {
  readonly part: 'stores' | 'log'
}

export interface PromiseRow {
  readonly promise: string
  readonly after: Readonly<Record<Mishap, Outcome>>
}

/** `holds`; or what happens instead. `detected`: records may be lost, and the gap stops their readers instead of being skipped. */
export type Outcome = 'holds' | 'detected' | 'lost'

export const mishaps: readonly Mishap[] = ['process kill', 'OS crash', 'power loss', 'loss of a node']

/**
 * Judges what was found: an acknowledged change is as safe as the store that it was committed to; an event reaches everybody if neither
 * the store of its source nor the log loses it. What the log alone loses is detected, because its records are numbered without gaps and
 * the source's store knows how many there were.
 */
export function diagnose(stores: Examination, log: Examination, { accept = [], survive = [] }: Expectations = {}): Diagnosis {
  const engines = [expect({ part: 'stores', ...stores }, survive), expect({ part: 'log', ...log }, survive)]
  const broken = engines.flatMap(({ findings }, index) => findings.filter((finding) => finding.verdict === 'breaks' && !isKnown(finding, engines.slice(0, index))))
  const after = (judge: (mishap: Mishap) => Outcome): PromiseRow['after'] => Object.fromEntries(mishaps.map((mishap) => [mishap, judge(mishap)])) as PromiseRow['after'] // one for each
  const ofStore = after((mishap) => (stores.survives[mishap] ? 'holds' : 'lost'))
  return {
    engines,
    promises: [
      { promise: 'Atomic: state, events and timers commit together', after: after(() => 'holds') },
      { promise: 'Durable: what was acknowledged is there', after: ofStore },
      { promise: 'Complete: every committed event reaches everybody', after: after((mishap) => (!stores.survives[mishap] ? 'lost' : log.survives[mishap] ? 'holds' : 'detected')) },
      { promise: 'Once and in order: effects happen once, per key in order', after: ofStore },
      { promise: 'Loss is detected, and stops who would miss it', after: after((mishap) => (stores.survives[mishap] ? 'holds' : 'lost')) },
    ],
    broken: broken.filter(({ name }) => !accept.includes(name)),
    accepted: broken.filter(({ name }) => accept.includes(name)),
    idle: accept.filter((name) => !broken.some((finding) => finding.name === name)),
  }
}

/** A part with a finding for each mishap that it is to survive, and does not, or that it does. */
function expect(engine: ExaminedEngine, survive: readonly Mishap[]): ExaminedEngine {
  const findings = survive.map((mishap): Finding => {
    const name = `${engine.part}.survives-${mishap.toLowerCase().replaceAll(' ', '-')}`
    if (engine.survives[mishap]) return { name, value: 'yes', verdict: 'holds', message: `nothing acknowledged is lost to it` }
    return { name, value: 'no', verdict: 'breaks', message: `${engine.engine} as it is set loses what was acknowledged to a ${mishap}, which it is to survive (survive): set up what is missing, see docs/operating/engines.md` }
  })
  return { ...engine, findings: [...engine.findings, ...findings] }
}

/** Whether other parts have it, too: stores and log may be on one server. */
export function isKnown({ name, value, message }: Finding, parts: readonly ExaminedEngine[]): boolean {
  return parts.some(({ findings }) => findings.some((finding) => finding.name === name && finding.value === value && finding.message === message))
}

/** Refuses to go on with settings that break a promise and that nobody has accepted by name: SETTING_UNSAFE. */
export function assertSafe({ broken }: Diagnosis): void {
  if (broken.length === 0) return
  const names = broken.map(({ name }) => name)
  const reasons = broken.map(({ name, value, message }) => `${name} is ${value}: ${message}`)
  throw new AtollError('SETTING_UNSAFE', `${reasons.join('; ')}. To run all the same, accept by name: accept ${JSON.stringify(names)} in the configuration, or ATOLL_ACCEPT=${names.join(',')}`, {
    details: { findings: names },
  })
}

/** What readiness says for as long as the system runs so. */
export function warningsOf({ accepted }: Diagnosis): string[] {
  return accepted.map(({ name, value, message }) => `${name} is ${value}, and was accepted: ${message}`)
}
