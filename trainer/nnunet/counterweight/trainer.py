"""The external trainer class: stock nnU-Net in everything but what is drawn and what it counts.

It has no `__init__` of its own: nnU-Net reads the signature of the one it inherits.
"""

import os
import signal
import sys
from contextlib import contextmanager

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from .fold import check_files, fold_sides, require_preprocessed
from .job import data_folder, is_asked_for, open_job
from .loader import PlannedLoader, augmenters, one_thread, stock_loader_of
from .loss import CaseFactorLoss, has_batch_dice
from .problems import REVOKED, STOPPED, TrainerError, refuse
from .run import Run, folder_of, now
from .states import artifacts_of, keep_state, state_of
from .step import corrected_step
from .surroundings import surroundings
from .validation import class_names, summary_results, validation_round


class CounterweightTrainer(nnUNetTrainer):
    """Draws by the plan of a snapshot and multiplies each case's loss by its factor.

    Without CW_API or CW_SNAPSHOT it predicts and validates as the stock class does, but does not
    train. `counterweight` is the Run, or None.
    """

    counterweight = None
    _planned_loader = None

    # --- before the first step

    def initialize(self):
        """As the stock class, with the settings of the job and the loss of each case."""
        if is_asked_for(os.environ) and self.counterweight is None:
            with self._refusing():
                self._open()
        super().initialize()
        if self.counterweight is not None:
            self.loss = CaseFactorLoss(self.loss, has_batch_dice(self.loss))

    @contextmanager
    def _refusing(self):
        """Ends the process with a sentence and its code where a run cannot begin."""
        try:
            yield
        except TrainerError as error:
            self.print_to_log_file(str(error))
            if self.counterweight is not None:
                self.counterweight.fail(error, [])
            raise SystemExit(error.exit_code) from error

    def _open(self):
        if self.is_ddp:
            refuse("several GPUs: this trainer follows the plan on one; start it without -num_gpus")
        job = open_job(os.environ, self.print_to_log_file)
        run = Run(job, folder_of(os.environ, self.output_folder), self.print_to_log_file)
        self.counterweight = run
        fold = job.snapshot.header["fold"]
        if fold != self.fold:
            refuse(f"the snapshot is of fold {fold}, but nnU-Net was started with {self.fold}")
        size = job.setting("batchSize", self.configuration_manager.batch_size)
        draws = job.setting("drawsPerEpoch", self.num_iterations_per_epoch * size)
        if draws % size != 0:
            refuse(f"drawsPerEpoch is {draws}, no multiple of the batch size {size}")
        self.num_epochs = job.setting("epochs", self.num_epochs)
        run.shape(size, draws, self.num_epochs)
        self.initial_lr = job.setting("learningRate", self.initial_lr)
        self.oversample_foreground_percent = job.setting(
            "foregroundShare", self.oversample_foreground_percent
        )
        self.num_val_iterations_per_epoch = job.nnunet(
            "validationBatches", self.num_val_iterations_per_epoch
        )
        self.save_every = job.setting("checkpointEvery", 10)
        self.print_to_log_file(f"{job}: digest and sums verified")
        self._refuse_batch_dice()

    def _refuse_batch_dice(self):
        job = self.counterweight.job
        if not self.configuration_manager.batch_dice:
            return
        if not job.setting("allowBatchDice", False) and job.snapshot.corrects:
            refuse(
                f"the plans have batch_dice on for {self.configuration_name}: it adds up all cases "
                "of a batch before it divides, so a factor per case has no exact meaning. Set "
                'batch_dice to false in a copy of the plans, or say "allowBatchDice": true'
            )
        self.print_to_log_file("inexact: Dice is over the batch, as the plans say")

    def _set_batch_size_and_oversample(self):
        super()._set_batch_size_and_oversample()
        if self.counterweight is not None:
            self.batch_size = self.counterweight.batch_size

    def do_split(self):
        """nnU-Net's split of the fold, which the snapshot has to fit, without excluded cases."""
        if self.counterweight is None:
            return super().do_split()
        file = os.path.join(self.preprocessed_dataset_folder_base, "splits_final.json")
        known = self.fold == "all" or os.path.isfile(file) or self.counterweight.job.cases is None
        return fold_sides(self.counterweight.job, super().do_split() if known else None)

    def get_dataloaders(self):
        """The stock loaders, made in one thread; the training one then follows the plan."""
        run = self.counterweight
        workers = run.job.nnunet("workers", get_allowed_n_proc_DA())
        with one_thread():
            train, val = super().get_dataloaders()
        self._planned_loader = PlannedLoader(stock_loader_of(train), run.job.seed, workers)
        self._order()
        pinned = self.device.type == "cuda"
        return augmenters(self._planned_loader, stock_loader_of(val), workers, pinned)

    def _order(self):
        run = self.counterweight
        plan, done = run.begin_epoch(), run.progress["drawsDone"]
        self._planned_loader.order(run.progress["epoch"], plan, done, run.batch_size)

    def on_train_start(self):
        """Checks everything that can be checked before the first step."""
        if not self.was_initialized:
            self.initialize()
        if self.counterweight is None:
            self.print_to_log_file("nothing to follow: set CW_SNAPSHOT=FILE.json, or launch a job")
            raise SystemExit(64)
        with self._refusing():
            self._check_data()
            self.counterweight.reporter.add(environment=surroundings(self))
            super().on_train_start()

    def _check_data(self):
        run, folder = self.counterweight, self.preprocessed_dataset_folder
        train, val = self.do_split()
        require_preprocessed([*train, *val], self.dataset_class.get_identifiers(folder), folder)
        if run.job.cases is None:
            return
        raw = os.path.join(*data_folder(os.environ)) if os.environ.get("CW_DATA") else None
        truths = os.path.join(self.preprocessed_dataset_folder_base, "gt_segmentations")

        def tell(done, count):
            if done % 100 == 0 or done == count:
                self.print_to_log_file(f"{done} of {count} files have their SHA-256")
            run.check()

        check_files(run.job, raw, truths, self.dataset_json["file_ending"], tell)

    # --- the run

    def run_training(self):
        """The stock loop; however it ends, the service hears of it."""
        before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self._on_signal)
        self._process = os.getpid()
        try:
            super().run_training()
            self.counterweight.trained = True
        except (Exception, KeyboardInterrupt) as error:
            raise SystemExit(self._end_badly(error)) from error
        finally:
            self._end_workers()
            signal.signal(signal.SIGTERM, before)

    def _on_signal(self, number, _frame):
        if os.getpid() == self._process:
            self.counterweight.stop_signal = True
            return
        signal.signal(number, signal.SIG_DFL)  # a worker that was forked: it just ends
        os.kill(os.getpid(), number)

    def _end_badly(self, error):
        """Leaves behind what can be left, a checkpoint where it was only stopped; the exit code."""
        run = self.counterweight
        if run.stop_signal or isinstance(error, KeyboardInterrupt):
            error = TrainerError("stopped by SIGTERM", STOPPED)  # workers may have died of it first
        self.print_to_log_file(str(error))
        code = getattr(error, "exit_code", None)
        if code != REVOKED:
            run.close_range()
        if code == STOPPED:
            self.save_checkpoint(os.path.join(self.output_folder, "checkpoint_latest.pth"))
        return run.fail(error, self._artifacts())

    def _end_workers(self):
        if self._planned_loader is not None:
            self._planned_loader.close()
            self._planned_loader = None
        for augmenter in (self.dataloader_train, self.dataloader_val):
            if hasattr(augmenter, "_finish"):
                augmenter._finish()

    def on_train_epoch_start(self):
        """As the stock class, with as many steps as the plan has left."""
        run = self.counterweight
        left = run.draws_per_epoch - run.progress["drawsDone"]
        self.num_iterations_per_epoch = left // run.batch_size
        super().on_train_epoch_start()
        self._step_ended = now()

    def train_step(self, batch):
        """One step on the next draws of the plan, each case's loss times its factor."""
        run = self.counterweight
        run.check()
        waited = now() - self._step_ended
        drawn = [str(one) for one in batch["keys"]]
        self.loss.factors = run.take(drawn)
        try:
            result = corrected_step(self, batch)
        finally:
            self.loss.factors = None
        losses = (self.loss.case_losses.float() + self.loss.offset).tolist()
        ended = now()
        result |= {
            "rate": self.optimizer.param_groups[0]["lr"],
            "seconds": ended - self._step_ended,
            "waited": waited,
        }
        self._step_ended = ended
        run.did_step(drawn, losses, result)
        return {"loss": result["nnunet"]}

    def on_train_epoch_end(self, train_outputs):
        """Reports the epoch, validates where it is due, and takes up what comes next."""
        super().on_train_epoch_end(train_outputs)
        run = self.counterweight
        run.close_range()
        every, epoch = run.job.setting("validateEvery"), run.progress["epoch"] + 1
        last = epoch >= run.epochs
        if every and epoch % every == 0 and not last:
            _, val = self.do_split()
            results = validation_round(self, val, run.check)
            run.validated(results, class_names(self), epoch - 1)
        run.end_epoch()
        if not last:
            self._order()

    # --- what stays behind

    def save_checkpoint(self, filename):
        """nnU-Net's checkpoint as it is, with the state of the run beside it."""
        if self.counterweight is None or self.disable_checkpointing:
            return super().save_checkpoint(filename)
        super().save_checkpoint(f"{filename}.partial")
        keep_state(f"{filename}.partial", filename, self.counterweight.progress)

    def load_checkpoint(self, filename_or_checkpoint):
        """Goes on where the run stood when the checkpoint was written."""
        super().load_checkpoint(filename_or_checkpoint)
        run = self.counterweight
        if run is None or run.trained or not isinstance(filename_or_checkpoint, str):
            return
        state = state_of(filename_or_checkpoint)
        with self._refusing():
            if state is None:
                name = os.path.basename(filename_or_checkpoint)
                refuse(f"{name} was not written by this trainer: it says of no draws")
            run.resume(state)
        epoch, done, step = (run.progress[name] for name in ("epoch", "drawsDone", "step"))
        self.current_epoch = epoch
        # A stop may have come before nnU-Net's own figures of an epoch: it needs one for each.
        for values in self.logger.get_checkpoint().values():
            values += (values[-1:] or [0.0]) * (epoch - len(values))
        self.print_to_log_file(f"continues at epoch {epoch}, draw {done}, step {step}")

    def perform_actual_validation(self, save_probabilities=False):
        """nnU-Net's validation over whole cases, then the end of the job."""
        run = self.counterweight
        if run is None or not run.trained:
            return super().perform_actual_validation(save_probabilities)
        try:
            super().perform_actual_validation(save_probabilities)
            path = os.path.join(self.output_folder, "validation", "summary.json")
            results = summary_results(path, self.dataset_json["file_ending"])
            dice = run.validated(results, class_names(self), run.epochs - 1)
            run.finish(dice, self._artifacts())
        except (Exception, KeyboardInterrupt) as error:
            self.print_to_log_file(str(error))
            raise SystemExit(run.fail(error, self._artifacts())) from error

    def _artifacts(self):
        return artifacts_of(self.output_folder, os.environ.get("CW_OUT"))

    def print_to_log_file(self, *args, also_print_to_console=True, add_timestamp=True):
        """nnU-Net's log, whose tail goes to the service too."""
        super().print_to_log_file(
            *args, also_print_to_console=also_print_to_console, add_timestamp=add_timestamp
        )
        if self.counterweight is not None and args:
            self.counterweight.reporter.log(" ".join(str(one) for one in args))
        sys.stdout.flush()

