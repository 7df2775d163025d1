import type { Flow } from './flow.ts'

// Islands around a lagoon: services stand on a ring, and the events that flow between two of them cross the water
// together, on one line.

const ISLAND_WIDTH = 190
const LINE_HEIGHT = 16
const RADIUS = 330
const MARGIN = 40

interface Island {
  readonly name: string
  readonly lines: readonly string[]
  readonly x: number
  readonly y: number
  readonly height: number
}

/** The flow as a picture. The same flow gives the same picture, to the byte. */
export function flowAsSvg(flow: Flow): string {
  const islands = placeIslands(flow)
  const left = Math.min(...islands.map(({ x }) => x - ISLAND_WIDTH / 2)) - MARGIN
  const right = Math.max(...islands.map(({ x }) => x + ISLAND_WIDTH / 2)) + MARGIN
  const top = Math.min(...islands.map(({ y, height }) => y - height / 2)) - MARGIN
  const bottom = Math.max(...islands.map(({ y, height }) => y + height / 2)) + MARGIN
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${round(left)} ${round(top)} ${round(right - left)} ${round(bottom - top)}" font-family="system-ui, sans-serif" font-size="11">`,
    `<title>The flow of events in ${escape(flow.system)}</title>`,
    `<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#2b7a8c"/></marker></defs>`,
    `<rect x="${round(left)}" y="${round(top)}" width="${round(right - left)}" height="${round(bottom - top)}" fill="#eef7f8"/>`,
    `<circle r="${RADIUS}" fill="#dcf0f2" stroke="#c2e2e6"/>`,
    ...drawFlows(flow, islands),
    ...islands.map(drawIsland),
    '</svg>',
    '',
  ].join('\n')
}

function placeIslands(flow: Flow): Island[] {
  const count = flow.services.length
  return flow.services.map(({ name, operations, projections }, index) => {
    const angle = (index / count) * 2 * Math.PI - Math.PI / 2
    const commands = operations.filter((operation) => operation.kind === 'command').length
    const queries = operations.length - commands
    const lines = [
      [many(commands, 'command'), many(queries, 'quer', 'y', 'ies')].filter(Boolean).join(', '),
      ...projections.map((projection) => `▣ ${projection}`),
    ].filter(Boolean)
    const spread = count < 3 ? RADIUS * 0.7 : RADIUS
    return {
      name,
      lines,
      x: Math.cos(angle) * spread * 1.15,
      y: Math.sin(angle) * spread,
      height: 34 + lines.length * LINE_HEIGHT,
    }
  })
}

function drawFlows(flow: Flow, islands: readonly Island[]): string[] {
  const byPair = new Map<string, { source: Island; target: Island; events: Set<string> }>()
  for (const { source, service, event } of flow.edges) {
    const key = `${source} ${service}`
    const between = byPair.get(key) ?? {
      source: islandOf(islands, source),
      target: islandOf(islands, service),
      events: new Set(),
    }
    byPair.set(key, between)
    between.events.add(event)
  }
  return [...byPair.values()].map(({ source, target, events }) => {
    if (source === target) return drawLoop(source, events)
    const from = edgeOf(source, target)
    const to = edgeOf(target, source)
    const bend = { x: ((from.x + to.x) / 2) * 0.82, y: ((from.y + to.y) / 2) * 0.82 }
    const label = { x: 0.2 * from.x + 0.4 * bend.x + 0.4 * to.x, y: 0.2 * from.y + 0.4 * bend.y + 0.4 * to.y }
    return `<path d="M${round(from.x)} ${round(from.y)}Q${round(bend.x)} ${round(bend.y)} ${round(to.x)} ${round(to.y)}" fill="none" stroke="#2b7a8c" stroke-width="1.4" marker-end="url(#tip)"/>${drawLabel(label.x, label.y, events)}`
  })
}

function drawLoop({ x, y, height }: Island, events: ReadonlySet<string>): string {
  const top = y - height / 2
  return `<path d="M${round(x - 20)} ${round(top)}C${round(x - 40)} ${round(top - 40)} ${round(x + 40)} ${round(top - 40)} ${round(x + 20)} ${round(top)}" fill="none" stroke="#2b7a8c" stroke-width="1.4" marker-end="url(#tip)"/>${drawLabel(x, top - 34, events)}`
}

function drawLabel(x: number, y: number, events: ReadonlySet<string>): string {
  const lines = [...events]
  const first = y - ((lines.length - 1) * 12) / 2
  return lines
    .map(
      (event, index) =>
        `<text x="${round(x)}" y="${round(first + index * 12)}" text-anchor="middle" fill="#14505d" stroke="#e6f3f5" stroke-width="3" paint-order="stroke">${escape(event)}</text>`,
    )
    .join('')
}

function drawIsland({ name, lines, x, y, height }: Island): string {
  const left = round(x - ISLAND_WIDTH / 2)
  const top = y - height / 2
  return [
    `<rect x="${left}" y="${round(top)}" width="${ISLAND_WIDTH}" height="${height}" rx="14" fill="#fffaf0" stroke="#c9b27c"/>`,
    `<text x="${round(x)}" y="${round(top + 21)}" text-anchor="middle" font-size="14" font-weight="600" fill="#3d3320">${escape(name)}</text>`,
    ...lines.map(
      (line, index) =>
        `<text x="${round(x)}" y="${round(top + 38 + index * LINE_HEIGHT)}" text-anchor="middle" fill="#6b5d3e">${escape(line)}</text>`,
    ),
  ].join('')
}

/** Where the straight line towards another island leaves this one. */
function edgeOf(island: Island, towards: Island): { x: number; y: number } {
  const dx = towards.x - island.x
  const dy = towards.y - island.y
  const reach = Math.min((ISLAND_WIDTH / 2 + 4) / Math.abs(dx || 1e-9), (island.height / 2 + 4) / Math.abs(dy || 1e-9))
  return { x: island.x + dx * reach, y: island.y + dy * reach }
}

function islandOf(islands: readonly Island[], name: string): Island {
  return islands.find((island) => island.name === name)! // every service has one
}

function many(count: number, stem: string, one = '', more = 's'): string {
  return count === 0 ? '' : `${count} ${stem}${count === 1 ? one : more}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
