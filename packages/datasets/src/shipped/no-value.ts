import { WORDS_FOR_NO_VALUE } from '../rules/special-texts.ts'

/** What Excel, pandas, SQL Server and PostgreSQL write for no value. Formula errors are not included. */
export const NO_VALUE: string[] = [...WORDS_FOR_NO_VALUE, '\\N']
