import type { Migration } from '@sibyl/database';

/** Weaker policies that wait for approvals, and who approved the revisions that came of them. All of it only grows. */
export const policyProposalsMigration: Migration = {
  id: '0008_policy_proposals',
  schema: 'registry',
  sql: `
-- The last proposal of a model waits while the revision is in force that it was made from, and it is another policy.
CREATE TABLE registry.policy_proposal (
  model text COLLATE "C" NOT NULL REFERENCES registry.model (name),
  number integer NOT NULL CHECK (number > 0),
  base_revision integer NOT NULL,
  policy json NOT NULL,
  at timestamptz NOT NULL,
  actor json NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (model, number)
);

CREATE TABLE registry.policy_approval (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model text COLLATE "C" NOT NULL,
  number integer NOT NULL,
  at timestamptz NOT NULL,
  actor json NOT NULL,
  reason text NOT NULL,
  FOREIGN KEY (model, number) REFERENCES registry.policy_proposal (model, number)
);
CREATE INDEX policy_approval_proposal ON registry.policy_approval (model, number, id);

ALTER TABLE registry.model_policy ADD COLUMN approvals json;

GRANT SELECT, INSERT ON registry.policy_proposal, registry.policy_approval TO sibyl_app;
`,
};
