// What the nnU-Net adapter is made of, on the real nnU-Net and PyTorch. The checks themselves are
// Python, in checks/; each test here runs one of them.

import { afterAll, describe, expect, test } from 'vitest';
import { pythonChecks } from '../../support/nnunet.ts';

const modules = {
  known_answers: [
    'words',
    'words_in_any_portions',
    'rejected_words',
    'numbers',
    'digests',
    'plans',
    'a_plan_of_a_million',
    'altered_snapshots',
  ],
  losses: [
    'factors_of_one_change_nothing',
    'the_gradient_scales_with_the_factor',
    'case_losses_are_unweighted',
    'validation_is_the_stock_loss',
    'batch_dice_is_marked_and_kept',
  ],
  following: [
    'workers_change_nothing',
    'folds_that_do_not_fit',
    'files_that_changed',
    'states_belong_to_their_checkpoint',
    'switches_come_between_epochs',
    'runs_without_a_service',
    'ten_steps_that_are_not_finite_end_a_run',
  ],
  protocol: [
    'a_service_that_is_away_is_asked_again',
    'a_refusal_ends_the_run',
    'a_job_that_cannot_be_run_is_told',
    'reports_are_numbered_across_restarts',
    'a_revoked_reporter_says_so',
    'reports_stay_within_their_limits',
  ],
};

describe.each(Object.entries(modules))('%s', (module, names) => {
  const checks = pythonChecks(module);
  afterAll(() => checks.close());
  test.each(names)('%s', async (name) => {
    await checks.run(name);
  });
});

test('a check that fails fails its test, with the words of Python', async () => {
  const checks = pythonChecks('known_answers');
  await expect(checks.run('no_such_check')).rejects.toThrow('no_such_check');
  checks.close();
});
