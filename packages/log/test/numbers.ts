import { readAll } from '../src/conformance/records.ts'
import type { Log } from '../src/driver.ts'

/** The numbers of a partition as a subscriber takes them: each that is not above those before it is dropped. */
export async function readOnce(log: Log, source: string, partition: number, pageSize = 100): Promise<number[]> {
  const numbers: number[] = []
  for (const { number } of await readAll(log, source, partition, null, pageSize))
    if (number > (numbers.at(-1) ?? 0)) numbers.push(number)
  return numbers
}
