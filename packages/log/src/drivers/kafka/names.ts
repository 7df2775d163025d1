/**
 * Topics, and the ids of who writes them, are called `<system>.<source>`; no name of a system or a source holds a dot,
 * so that two never meet.
 */
export function topicOf(system: string, source: string): string {
  return `${system}.${source}`
}
