import { command, contract, event, query } from 'atoll'
import { z } from 'zod'

// Three banks that know each other by their events alone. Money on its way between two of them is in neither.

const Transfer = z.object({ transferId: z.string() })
const byTransfer = ({ transferId }: { transferId: string }): string => transferId
const Account = z.object({ account: z.string() })

export const bankNames = ['north', 'east', 'south'] as const
export type BankName = (typeof bankNames)[number]

/** What one bank shows the others. */
export function createBankContract(name: BankName) {
  const sent = event(`${name}.sent`, { version: 1, key: byTransfer, data: Transfer.extend({ bank: z.enum(bankNames), account: z.string(), cents: z.int().positive() }) })
  const received = event(`${name}.received`, { version: 1, key: byTransfer, data: Transfer })
  const refused = event(`${name}.refused`, { version: 1, key: byTransfer, data: Transfer })
  const operations = contract(name, {
    events: [sent, received, refused],
    open: command({ input: Account.extend({ cents: z.int().nonnegative() }), output: z.void() }),
    send: command({
      http: `POST /${name}/transfers`,
      input: Transfer.extend({ from: z.string(), bank: z.enum(bankNames), account: z.string(), cents: z.int().positive() }),
      output: z.object({ status: z.enum(['sent', 'no money']) }),
    }),
    balance: query({ http: `GET /${name}/accounts/:account`, input: Account, output: z.object({ cents: z.int() }) }),
  })
  return { name, sent, received, refused, operations }
}

export const banks = { north: createBankContract('north'), east: createBankContract('east'), south: createBankContract('south') }
