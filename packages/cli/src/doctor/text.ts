import type { Finding } from '@atoll/host'
import { formatTable } from '../table.ts'
import { isKnown, mishaps, type Diagnosis } from './diagnosis.ts'

/** A diagnosis for people: what was found, engine by engine; then what holds, promise by promise; then what to do. */
export function formatDiagnosis(diagnosis: Diagnosis): string {
  const accepted = new Set(diagnosis.accepted.map(({ name }) => name))
  const parts = diagnosis.engines.map(({ part, engine, version, findings }, index) => {
    const fresh = findings.filter((finding) => !isKnown(finding, diagnosis.engines.slice(0, index)))
    const known = findings.length - fresh.length
    return [
      `${part}: ${engine} ${version}`,
      ...(known > 0 ? [`  ${known} as above`] : []),
      ...fresh.map((finding) => `  ${mark(finding, accepted)} ${finding.name} = ${finding.value}\n      ${finding.message}`),
    ].join('\n')
  })
  parts.push(formatTable(['after', ...mishaps], diagnosis.promises.map(({ promise, after }) => [promise, ...mishaps.map((mishap) => after[mishap])])))
  parts.push(conclusion(diagnosis))
  return parts.join('\n\n')
}

function mark({ name, verdict }: Finding, accepted: ReadonlySet<string>): string {
  if (verdict === 'holds') return '✓'
  if (verdict === 'breaks') return accepted.has(name) ? '! accepted:' : '✗'
  return verdict === 'unknown' ? '?' : '·'
}

function conclusion({ broken, accepted, idle }: Diagnosis): string {
  const lines: string[] = []
  if (broken.length === 0 && accepted.length === 0) lines.push('no setting breaks a promise')
  if (broken.length > 0) lines.push(`${broken.length} ${broken.length === 1 ? 'setting breaks a promise' : 'settings break promises'}, and a start is refused: ${names(broken)}`)
  if (accepted.length > 0) lines.push(`accepted by name, and shown by /readyz for as long as it runs so: ${names(accepted)}`)
  if (idle.length > 0) lines.push(`accepted, and found nowhere: ${idle.join(', ')}; take it out of accept`)
  return lines.join('\n')
}

function names(findings: readonly Finding[]): string {
  return findings.map(({ name }) => name).join(', ')
}
