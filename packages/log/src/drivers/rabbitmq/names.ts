// What the things of one system are called in RabbitMQ.

/** The stream of a partition. */
export function streamName(system: string, source: string, partition: number): string {
  return `atoll/${system}/${source}/${partition}`
}

/** By which hints of a source are routed. */
export function hintsKey(system: string, source: string): string {
  return `atoll/${system}/${source}`
}
