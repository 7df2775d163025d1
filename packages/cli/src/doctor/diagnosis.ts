import { AtollError, mishaps, type Examination, type Finding, type Logger, type Mishap } from '@atoll/host'
import { nearestOf } from '../nearest.ts'

/** What the settings of a system's engines come to. */
export interface Diagnosis {
  /** Of the stores and of the log, in this order. */
  readonly engines: readonly ExaminedEngine[]
  /** What holds after which mishap, promise by promise. */
  readonly promises: readonly PromiseRow[]
  /** Findings that break a promise and that nobody has accepted by name. */
  readonly broken: readonly PartFinding[]
  /** Findings that break a promise and have been accepted. */
  readonly accepted: readonly PartFinding[]
  /** What an engine would not say, although a promise hangs on it, and nobody has accepted by name. */
  readonly unsure: readonly PartFinding[]
  /** Names that were accepted and fit no finding: a typo, or something that is mended by now. */
  readonly idle: readonly string[]
}

/** What the operator has said. */
export interface Expectations {
  /**
   * Findings that are accepted although they break a promise, or although nobody knows whether they do:
   * `stores:postgres.fsync`, `log:postgres.fsync`. A name alone is of the log: what the log loses is detected, and what
   * the stores lose is lost, so theirs must be meant.
   */
  readonly accept?: readonly string[] | undefined
  /** Mishaps to which nothing that was acknowledged may be lost. */
  readonly survive?: readonly Mishap[] | undefined
}

export type Part = 'stores' | 'log'

export interface ExaminedEngine extends Examination {
  readonly part: Part
}

/** A finding, and where it was found. Of what stores and log on one server have in common, the stores. */
export interface PartFinding extends Finding {
  readonly part: Part
}

export interface PromiseRow {
  readonly promise: string
  readonly after: Readonly<Record<Mishap, Outcome>>
}

/**
 * `holds`; or what happens instead. `detected`: records may be lost, and the gap stops their readers instead of being
 * skipped.
 */
export type Outcome = 'holds' | 'detected' | 'lost'

/**
 * Judges what was found: an acknowledged change is as safe as the store that it was committed to; an event reaches
 * everybody if neither the store of its source nor the log loses it. What the log alone loses is detected, because its
 * records are numbered without gaps and the source's store knows how many there were.
 */
export function diagnose(
  stores: Examination,
  log: Examination,
  { accept = [], survive = [] }: Expectations = {},
): Diagnosis {
  const engines = [expect({ part: 'stores', ...stores }, survive), expect({ part: 'log', ...log }, survive)]
  const found = engines.flatMap(({ part, findings }) => findings.map((finding): PartFinding => ({ part, ...finding })))
  const fresh = engines.flatMap((engine) => freshIn(engine, engines))
  const broken = fresh.filter(({ verdict }) => verdict === 'breaks')
  const after = (judge: (mishap: Mishap) => Outcome): PromiseRow['after'] =>
    Object.fromEntries(mishaps.map((mishap) => [mishap, judge(mishap)])) as PromiseRow['after'] // one for each
  const ofStore = after((mishap) => (stores.survives[mishap] ? 'holds' : 'lost'))
  return {
    engines,
    promises: [
      { promise: 'Atomic: state, events and timers commit together', after: after(() => 'holds') },
      { promise: 'Durable: what was acknowledged is there', after: ofStore },
      {
        promise: 'Complete: every committed event reaches everybody',
        after: after((mishap) => (!stores.survives[mishap] ? 'lost' : log.survives[mishap] ? 'holds' : 'detected')),
      },
      { promise: 'Once and in order: effects happen once, per key in order', after: ofStore },
      {
        promise: 'Loss is detected, and stops who would miss it',
        after: after((mishap) => (stores.survives[mishap] ? 'holds' : 'lost')),
      },
    ],
    broken: broken.filter((finding) => !isAccepted(finding, accept)),
    accepted: broken.filter((finding) => isAccepted(finding, accept)),
    unsure: fresh.filter((finding) => finding.verdict === 'unknown' && !isAccepted(finding, accept)),
    idle: accept.filter(
      (name) => !found.some((finding) => acceptable.has(finding.verdict) && isAccepted(finding, [name])),
    ),
  }
}

const acceptable: ReadonlySet<Finding['verdict']> = new Set(['breaks', 'unknown'])

/** A part with a finding for each mishap that it is to survive, and does not, or that it does. */
function expect(engine: ExaminedEngine, survive: readonly Mishap[]): ExaminedEngine {
  const findings = survive.map((mishap): Finding => {
    const name = `survives-${mishap.toLowerCase().replaceAll(' ', '-')}`
    if (engine.survives[mishap])
      return { name, value: 'yes', verdict: 'holds', message: `nothing acknowledged is lost to it` }
    return {
      name,
      value: 'no',
      verdict: 'breaks',
      message: `${engine.engine} as it is set loses what was acknowledged to a ${mishap}, which it is to survive (survive): set up what is missing, see docs/operating/engines.md`,
    }
  })
  return { ...engine, findings: [...engine.findings, ...findings] }
}

/** What was found of a part, and not of one before it on the same server. */
export function freshIn({ part, server, findings }: ExaminedEngine, engines: readonly ExaminedEngine[]): PartFinding[] {
  const before = engines
    .slice(
      0,
      engines.findIndex((engine) => engine.part === part),
    )
    .filter((engine) => server !== undefined && engine.server === server)
  const isKnown = ({ name, value, message }: Finding): boolean =>
    before.some((engine) =>
      engine.findings.some((one) => one.name === name && one.value === value && one.message === message),
    )
  return findings.filter((finding) => !isKnown(finding)).map((finding) => ({ part, ...finding }))
}

/** How a finding is called where there may be others of its name. */
export function fullNameOf({ part, name }: PartFinding): string {
  return `${part}:${name}`
}

/**
 * A name that was accepted and fits no finding, with the one that was probably meant, if it is not the name of one that
 * is as it should be.
 */
export function idleText(name: string, { engines }: Pick<Diagnosis, 'engines'>): string {
  const found = engines.flatMap(({ part, findings }) => findings.map((finding) => ({ part, ...finding })))
  if (found.some((finding) => isAccepted(finding, [name]))) return name
  const full = found.map(fullNameOf)
  const meant = nearestOf(name, full) ?? nearestOf(`log:${name}`, full)
  return meant === undefined ? name : `${name} (is ${meant} meant?)`
}

function isAccepted(finding: PartFinding, accept: readonly string[]): boolean {
  return accept.includes(fullNameOf(finding)) || (finding.part === 'log' && accept.includes(finding.name))
}

/** Refuses to go on with settings that break a promise and that nobody has accepted by name: SETTING_UNSAFE. */
export function assertSafe(diagnosis: Diagnosis): void {
  const { broken, idle } = diagnosis
  if (broken.length === 0) return
  const names = broken.map(fullNameOf)
  const reasons = broken.map((finding) => `${fullNameOf(finding)} is ${finding.value}: ${finding.message}`)
  const strange = idle.map((name) => idleText(name, diagnosis)).filter((text, index) => text !== idle[index])
  const hint = strange.length > 0 ? `. Accepted, and found nowhere: ${strange.join(', ')}` : ''
  throw new AtollError('SETTING_UNSAFE', `${reasons.join('; ')}. To run all the same, ${howToAccept(broken)}${hint}`, {
    details: { findings: names },
  })
}

/**
 * Refuses to start with settings that break a promise, unless they were accepted by name: SETTING_UNSAFE. Logs what the
 * operator should see to, and returns what readiness says for as long as the system runs so: what was accepted, and
 * what nobody knows.
 */
export function clearForStart(diagnosis: Diagnosis, logger: Logger): readonly string[] {
  assertSafe(diagnosis)
  const { idle, unsure } = diagnosis
  if (idle.length > 0)
    logger.warn(
      { accept: idle.map((name) => idleText(name, diagnosis)) },
      'what was accepted is no trouble here: a misspelt name, or something that is mended or known by now',
    )
  if (unsure.length > 0) {
    const findings = Object.fromEntries(unsure.map((finding) => [fullNameOf(finding), finding.message]))
    logger.warn(
      { findings },
      'promises hang on settings that are not known: do what each finding says, or make sure by other means and accept it by name (accept, ATOLL_ACCEPT)',
    )
  }
  return warningsOf(diagnosis)
}

/** What readiness says for as long as the system runs so. */
export function warningsOf({ accepted, unsure }: Diagnosis): string[] {
  return [
    ...accepted.map((finding) => `${fullNameOf(finding)} is ${finding.value}, and was accepted: ${finding.message}`),
    ...unsure.map(
      (finding) =>
        `${fullNameOf(finding)} is not known: ${finding.message}. Once you have made sure, ${howToAccept([finding])}`,
    ),
  ]
}

function howToAccept(findings: readonly PartFinding[]): string {
  const names = findings.map(fullNameOf)
  return `accept by name: accept ${JSON.stringify(names)} in the configuration, or ATOLL_ACCEPT=${names.join(',')}`
}
