import { toVisible } from './visible.ts'

/** Rows under a header, in columns; numbers to the right. Whatever stands in a cell stays in it. */
export function formatTable(header: readonly string[], written: readonly (readonly (string | number)[])[]): string {
  const rows = written.map((cells) => cells.map((cell) => (typeof cell === 'number' ? cell : toVisible(cell))))
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => String(row[column]).length)))
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, column) => (typeof cell === 'number' ? String(cell).padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd()
  return [line(header), ...rows.map(line)].join('\n')
}
