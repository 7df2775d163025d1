import { toVisible } from './visible.ts'

type Cells = readonly (string | number)[]

/** Rows under a header, in columns; numbers to the right. Whatever stands in a cell stays in it. */
export function formatTable(header: readonly string[], rows: readonly Cells[]): string {
  return formatRows(
    header.map(() => 0),
    [header, ...rows],
  )
}

/**
 * The same of rows that come one by one, of which there may be any number: tells a page at a time, and keeps no more
 * than that. Columns of a later page are wider only if something in it is. Answers how many there were; of none it
 * tells nothing.
 */
export async function tellTable<Row>(
  header: readonly string[],
  rows: AsyncIterable<Row>,
  cellsOf: (row: Row) => Cells,
  tell: (page: string) => void,
): Promise<number> {
  const widths = header.map(() => 0)
  let page: Cells[] = [header]
  let count = 0
  for await (const row of rows) {
    count++
    page.push(cellsOf(row))
    if (page.length < PAGE_ROWS) continue
    tell(formatRows(widths, page))
    page = []
  }
  if (count > 0 && page.length > 0) tell(formatRows(widths, page))
  return count
}

const PAGE_ROWS = 200

/** Widens `widths` to what is in the rows. */
function formatRows(widths: number[], written: readonly Cells[]): string {
  const rows = written.map((cells) => cells.map((cell) => (typeof cell === 'number' ? cell : toVisible(cell))))
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column]!, String(cell).length)
  const line = (cells: Cells): string =>
    cells
      .map((cell, column) =>
        typeof cell === 'number' ? String(cell).padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}
