import { system } from 'atoll'
import { createAuditor } from './auditor.ts'
import { bankNames, banks, createBanks } from './contracts.ts'
import { createBank } from './service.ts'
import { createStatements } from './statements.ts'

export default system('bank', {
  services: [...bankNames.map((name) => createBank(banks, name)), createStatements(banks)],
})

const nextBanks = createBanks(2)

/**
 * What is deployed in mid-flow: another version of an event, and a service that reads everything from the beginning.
 */
export const nextSystem = system('bank', {
  services: [
    ...bankNames.map((name) => createBank(nextBanks, name)),
    createStatements(nextBanks),
    createAuditor(nextBanks),
  ],
})
