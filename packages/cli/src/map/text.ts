import type { Flow } from './flow.ts'

/** The flow for a terminal: each service, what it offers, and where its events go. */
export function flowAsText(flow: Flow): string {
  const lines = [`${flow.system}: ${counted(flow.services, 'service')}, ${counted(flow.edges, 'flow')} of events`]
  for (const { name, operations, events, projections } of flow.services) {
    lines.push('', name)
    const width = Math.max(0, ...operations.map((operation) => operation.name.length))
    for (const { name, kind, route, shows } of operations) {
      lines.push(
        `  ${kind === 'command' ? '!' : '?'} ${name.padEnd(width)}  ${route ?? 'for other services'}${shows === undefined ? '' : `  shows ${shows}`}`,
      )
    }
    for (const event of events) {
      const readers = flow.edges.filter((edge) => edge.event === event.name).map((edge) => edge.subscription)
      lines.push(
        `  ─ ${event.name} v${event.version}${event.isPrivate ? ' (its own)' : ''} → ${readers.length === 0 ? 'nobody' : readers.join(', ')}`,
      )
    }
    for (const projection of projections)
      lines.push(`  ▣ ${name}.${projection}, rebuilt by: atoll replay ${name}.${projection}`)
  }
  lines.push('', '! command   ? query   ─ event → who handles it   ▣ projection')
  return lines.join('\n')
}

function counted(things: readonly unknown[], name: string): string {
  return `${things.length} ${name}${things.length === 1 ? '' : 's'}`
}
