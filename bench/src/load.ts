import autocannon from 'autocannon'
import { createOrder } from './order.ts'

// Runs as a process of its own, so that making load does not take time from the server that is measured.
// Arguments: url, `query` or `command`, connections, seconds. Prints requests a second.

const [, , url, kind, connections, seconds] = process.argv
let index = 1
const options: autocannon.Options = {
  url: kind === 'query' ? `${url}/orders/${createOrder(0).orderId}` : `${url}/orders`,
  connections: Number(connections),
  duration: Number(seconds),
  ...(kind === 'query'
    ? {}
    : {
        method: 'POST' as const,
        headers: { 'content-type': 'application/json' },
        requests: [
          {
            setupRequest: (request: object) => ({
              ...request,
              body: JSON.stringify(createOrder(process.pid * 1_000_000 + index++)),
            }),
          },
        ],
      }),
}
const result = await autocannon(options)
if (result.non2xx > 0 || result.errors > 0) {
  console.error(`${options.url}: ${result.non2xx} refused, ${result.errors} failed`)
  process.exitCode = 1
}
console.log(result.requests.average)
