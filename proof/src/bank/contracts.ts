import { command, contract, event, query, upcast, type Upcaster } from 'atoll'
import { z } from 'zod'

// Three banks that know each other by their events alone. Money on its way between two of them is in neither.

const Transfer = z.object({ transferId: z.string() })
const byTransfer = ({ transferId }: { transferId: string }): string => transferId
const Account = z.object({ account: z.string() })

export const bankNames = ['north', 'east', 'south'] as const
export type BankName = (typeof bankNames)[number]

/** An account has changed for the `move`th time, by so many cents. */
const Moved = Account.extend({ move: z.int().positive(), cents: z.int() })

const SentV1 = Transfer.extend({ bank: z.enum(bankNames), account: z.string(), cents: z.int().positive() })
const Sent = SentV1.extend({ currency: z.literal('EUR').default('EUR') })

/** What one bank shows the others. The second version says in which currency it sends; the first meant euros. */
function createBankContract(name: BankName, version: 1 | 2) {
  const upcasters: Record<number, Upcaster> =
    version === 1 ? {} : { 1: upcast(SentV1, (old) => ({ ...old, currency: 'EUR' })) }
  const sent = event(`${name}.sent`, { version, key: byTransfer, data: version === 1 ? SentV1 : Sent, upcasters })
  const received = event(`${name}.received`, { version: 1, key: byTransfer, data: Transfer })
  const refused = event(`${name}.refused`, { version: 1, key: byTransfer, data: Transfer })
  const moved = event(`${name}.moved`, { version: 1, key: ({ account }) => `${name}/${account}`, data: Moved })
  const operations = contract(name, {
    events: [sent, received, refused, moved],
    open: command({ input: Account.extend({ cents: z.int().nonnegative() }), output: z.void() }),
    send: command({
      http: `POST /${name}/transfers`,
      auth: 'none',
      input: Transfer.extend({
        from: z.string(),
        bank: z.enum(bankNames),
        account: z.string(),
        cents: z.int().positive(),
      }),
      output: z.object({ status: z.enum(['sent', 'no money']) }),
    }),
    balance: query({
      http: `GET /${name}/accounts/:account`,
      auth: 'none',
      input: Account,
      output: z.object({ cents: z.int() }),
    }),
  })
  return { name, sent, received, refused, moved, operations }
}

/** The contracts of all banks, of one version. */
export function createBanks(version: 1 | 2) {
  return {
    north: createBankContract('north', version),
    east: createBankContract('east', version),
    south: createBankContract('south', version),
  }
}

export type Banks = ReturnType<typeof createBanks>

export const banks = createBanks(1)
