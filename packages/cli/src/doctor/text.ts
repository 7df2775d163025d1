import { mishaps } from '@atoll/host'
import { formatTable } from '../table.ts'
import { visible } from '../visible.ts'
import { freshIn, fullNameOf, idleText, type Diagnosis, type PartFinding } from './diagnosis.ts'

/** A diagnosis for people: what was found, engine by engine; then what holds, promise by promise; then what to do. */
export function formatDiagnosis(diagnosis: Diagnosis): string {
  const accepted = new Set(diagnosis.accepted.map(fullNameOf))
  const parts = diagnosis.engines.map((examined) => {
    const { part, engine, version, findings } = examined
    const fresh = freshIn(examined, diagnosis.engines)
    const known = findings.length - fresh.length
    return [
      visible`${part}: ${engine} ${version}`,
      ...(known > 0 ? [`  ${known} as above`] : []),
      ...fresh.map((finding) =>
        [
          visible`  ${mark(finding, accepted)} ${finding.name} = ${finding.value}`,
          visible`      ${finding.message}`,
        ].join('\n'),
      ),
    ].join('\n')
  })
  parts.push(
    formatTable(
      ['after', ...mishaps],
      diagnosis.promises.map(({ promise, after }) => [promise, ...mishaps.map((mishap) => after[mishap])]),
    ),
  )
  parts.push(conclusion(diagnosis))
  return parts.join('\n\n')
}

function mark(finding: PartFinding, accepted: ReadonlySet<string>): string {
  const { verdict } = finding
  if (verdict === 'holds') return '✓'
  if (verdict === 'breaks') return accepted.has(fullNameOf(finding)) ? '! accepted:' : '✗'
  return verdict === 'unknown' ? '?' : '·'
}

function conclusion(diagnosis: Diagnosis): string {
  const { broken, accepted, unsure, idle } = diagnosis
  const lines: string[] = []
  if (broken.length === 0 && accepted.length === 0)
    lines.push(`no setting${unsure.length > 0 ? ' that is known' : ''} breaks a promise`)
  if (broken.length > 0)
    lines.push(
      `${broken.length} ${broken.length === 1 ? 'setting breaks a promise' : 'settings break promises'}, and a start is refused: ${names(broken)}`,
    )
  if (accepted.length > 0)
    lines.push(`accepted by name, and shown by /readyz for as long as it runs so: ${names(accepted)}`)
  if (unsure.length > 0)
    lines.push(
      `not known, though a promise hangs on it, and /readyz warns of it: ${names(unsure)}; do what it says above, or make sure and accept it by name`,
    )
  if (idle.length > 0)
    lines.push(
      `accepted, and found nowhere: ${idle.map((name) => idleText(name, diagnosis)).join(', ')}; take it out of accept`,
    )
  return lines.join('\n')
}

function names(findings: readonly PartFinding[]): string {
  return findings.map(fullNameOf).join(', ')
}
