import { system } from 'atoll'
import { bankNames } from './contracts.ts'
import { createBank } from './service.ts'

export default system('bank', { services: bankNames.map(createBank) })
