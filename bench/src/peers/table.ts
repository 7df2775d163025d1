import type { Comparison } from './peers.ts'

/** What the peers came to, as a table for people. */
export function formatPeers(comparisons: readonly Comparison[]): string {
  const rows = comparisons.flatMap(({ peer, theirs, ours, ratio }) => {
    const cells = (round: Comparison['theirs']): string[] => [
      Math.round(round.perSecond).toLocaleString('en'),
      `${Math.round(round.p50Ms)} ms`,
      `${Math.round(round.p99Ms)} ms`,
      `${round.cpuMs.toFixed(2)} ms`,
    ]
    return [
      [
        '',
        peer.engine,
        peer.name,
        ...cells(theirs),
        '',
        peer.isAtomic ? 'in the transaction' : 'after it, may be lost',
      ],
      [ratio > 1 ? '✓' : '✗', '', 'Atoll', ...cells(ours), `${ratio.toFixed(1)} ×`, 'in the transaction'],
    ]
  })
  const header = [
    '',
    'events on',
    'orders in PostgreSQL, event, effect',
    'orders/s',
    'p50',
    'p99',
    'CPU/order',
    'of the peer',
    'event is handed on',
  ]
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column >= 3 && column <= 7 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd()
  return [line(header), ...rows.map(line)].join('\n')
}
