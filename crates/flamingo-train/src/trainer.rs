//! The training loop: batches in, a trained model and its history out.
//!
//! One update takes one batch of every source ([`Mixing`](crate::Mixing) may say otherwise), accumulates the gradients of
//! all of them (each loss times its lambda_m; Flamingo, equation 2), clips, and makes one AdamW step. Everything random is a function of seed and
//! step, so that a run that was stopped and resumed ends bit for bit where an unbroken one does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, FloatDType, Tensor};
use flamingo_core::Precision;
use flamingo_core::seed::{derive, word};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::accumulate::{Part, Passes, accumulate};
use crate::checkpoint::{Checkpoint, CheckpointState};
use crate::config::{SourceSpec, TrainConfig};
use crate::divergence::{Evidence, batch_file};
use crate::error::TrainError;
use crate::evaluation::{Evaluators, measure};
use crate::gradients;
use crate::metrics::{MetricRecord, MetricSink, Window};
use crate::objective::{LossOutput, Objective};
use crate::optimizer::PathAdamW;
use crate::paths::trainable_paths;
use crate::precision::{LossScale, Shelf, narrowed, with_own_leaves};
use crate::progress::{Progress, Update, View};
use crate::stream::{BatchStream, StreamError};
use crate::sync::{GradientSync, agree, share};
use crate::workers::Workers;

/// The stream of one source.
pub type BoxStream<B> = Box<dyn BatchStream<Batch = B>>;

/// Runs one stage of training.
#[derive(Debug, Clone)]
pub struct Trainer {
    /// The stage's name, in metrics and for people.
    pub stage: String,
    /// How to train.
    pub config: TrainConfig,
    /// The folder of the stage's checkpoints: [`RunDir::checkpoints`](crate::RunDir::checkpoints). Need not exist yet.
    pub checkpoints: PathBuf,
    /// How to show progress.
    pub progress: Progress,
    /// How many parts of an update are computed at once ([`flamingo_core::device::concurrency`]). Changes the time only,
    /// except where the model draws from the device's random numbers (dropout): then 1 keeps runs reproducible.
    pub threads: usize,
    /// The other replicas of a data-parallel run; [`Alone`](crate::Alone) without any.
    pub sync: Arc<dyn GradientSync>,
}

/// What a stage ended with.
#[derive(Debug)]
pub struct Outcome<M> {
    /// The model, still on the autodiff device; what is frozen is as it was, whatever the precision.
    pub model: M,
    /// Updates done.
    pub step: u64,
    /// Whether the last update is done. If not, there is a checkpoint to resume from.
    pub finished: bool,
    /// Seconds of training, over all sessions.
    pub seconds: f64,
}

impl Trainer {
    /// Trains `model` until the last update, or until `stop` is set; continues from the newest checkpoint if the
    /// run folder has one of this stage.
    ///
    /// `streams` are in the order of [`TrainConfig::sources`]. A finished stage returns its model at once. Of several
    /// replicas, each calls this with streams of its own and gets the same model; the first one writes.
    ///
    /// # Errors
    ///
    /// If the configuration makes no sense or does not suit the model or its device, if replicas start from different
    /// weights or one has ended, if a stream fails, if a loss or gradient is not finite, if a checkpoint belongs to another
    /// configuration or does not fit, or if a file cannot be written. What was on disk stays.
    pub fn fit<O: Objective>(
        &self,
        objective: &O,
        model: O::Model,
        streams: &mut [BoxStream<O::Batch>],
        sink: &mut dyn MetricSink,
        stop: &AtomicBool,
    ) -> Result<Outcome<O::Model>, TrainError> {
        self.fit_evaluated(objective, model, streams, Vec::new(), sink, stop)
    }

    /// Like [`fit`](Self::fit), and measures the model every [`TrainConfig::evaluate_every`] updates and after the last.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit), and if an evaluator fails.
    pub fn fit_evaluated<O: Objective>(
        &self,
        objective: &O,
        model: O::Model,
        streams: &mut [BoxStream<O::Batch>],
        evaluators: Evaluators<'_, O::Model>,
        sink: &mut dyn MetricSink,
        stop: &AtomicBool,
    ) -> Result<Outcome<O::Model>, TrainError> {
        let outcome = self.fit_whole(objective, model, streams, Watch { evaluators, sink, stop });
        if outcome.is_err() {
            self.sync.leave();
        }
        outcome
    }

    fn fit_whole<O: Objective>(
        &self,
        objective: &O,
        model: O::Model,
        streams: &mut [BoxStream<O::Batch>],
        watch: Watch<'_, O::Model>,
    ) -> Result<Outcome<O::Model>, TrainError> {
        // Looking at every parameter also creates those that Burn left for their first use, in the model's order and
        // before the loop seeds the device: initial weights depend on the caller's seed alone.
        self.check(&model, streams.len())?;
        if self.config.evaluate_every > 0 && watch.evaluators.is_empty() {
            let message = "this stage has nothing to evaluate with: set it to 0";
            return Err(TrainError::config("evaluate_every", message));
        }
        let (model, shelf) = Shelf::fill(model, self.config.precision);
        let session = self.begin(model, streams)?;
        agree(&*self.sync, &session.model)?;
        if session.step == self.config.steps {
            return Ok(session.outcome(shelf, true));
        }
        if self.writes() {
            watch.sink.begin(&self.stage, session.step)?;
        }
        let session = self.run(objective, session, streams, watch)?;
        let finished = session.step == self.config.steps;
        Ok(session.outcome(shelf, finished))
    }

    /// Makes `updates` updates of `model`, which is then dropped, and gives the seconds of each. Nothing is read from the
    /// folder of checkpoints, or written anywhere: for an estimate of what a run takes.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit), but for files.
    pub fn rehearse<O: Objective>(
        &self,
        objective: &O,
        model: O::Model,
        streams: &mut [BoxStream<O::Batch>],
        updates: u64,
    ) -> Result<Vec<f64>, TrainError> {
        let mut seconds = Vec::new();
        let goes_on = |took| {
            seconds.push(took);
            (seconds.len() as u64) < updates
        };
        if updates > 0 {
            self.rehearse_while(objective, model, streams, goes_on)?;
        }
        Ok(seconds)
    }

    /// [`rehearse`](Self::rehearse), for as long as `goes_on` says so, which is told the seconds of each update behind it.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit), but for files.
    pub fn rehearse_while<O: Objective>(
        &self,
        objective: &O,
        model: O::Model,
        streams: &mut [BoxStream<O::Batch>],
        mut goes_on: impl FnMut(f64) -> bool,
    ) -> Result<(), TrainError> {
        self.check(&model, streams.len())?;
        let (model, _shelf) = Shelf::fill(model, self.config.precision);
        let mut session = Session::new(model, self.config.precision, self.threads);
        let mut view = View::start(Progress::Hidden, &self.stage, 0, self.config.steps);
        loop {
            let before = session.elapsed_s;
            (session, _) = self.update(objective, session, streams, &mut view)?;
            if !goes_on(session.elapsed_s - before) {
                return Ok(());
            }
        }
    }

    fn check<M: Module>(&self, model: &M, streams: usize) -> Result<(), TrainError> {
        self.config.validate()?;
        let sources = self.config.sources.len();
        if streams != sources {
            let message = format!("{sources} sources are configured, but {streams} streams of batches given");
            return Err(TrainError::config("sources", message));
        }
        self.config.validate_against(&trainable_paths(model))?;
        model.devices().iter().try_for_each(|device| Ok(self.config.precision.check(device)?))
    }

    /// A new session, or the one of the newest checkpoint.
    fn begin<M: Module, B>(&self, model: M, streams: &mut [BoxStream<B>]) -> Result<Session<M>, TrainError> {
        if self.writes() {
            Checkpoint::sweep(&self.checkpoints)?;
        }
        let mut session = Session::new(model, self.config.precision, self.threads);
        let Some(checkpoint) = Checkpoint::latest(&self.checkpoints)? else { return Ok(session) };
        checkpoint.check_config(&self.config)?;
        (session.model, session.optimizer) = checkpoint.load_into(session.model)?;
        let state = checkpoint.state();
        let places = checkpoint.places(self.sync.rank(), self.sync.world())?;
        for (spec, stream) in self.config.sources.iter().zip(streams) {
            let place = places.get(&spec.name).ok_or_else(|| {
                TrainError::corrupt(checkpoint.path(), format!("no place for the source {:?}", spec.name))
            })?;
            stream.restore(place).map_err(|error| stream_error(spec, 0, error))?;
        }
        (session.step, session.elapsed_s, session.window, session.evaluation) =
            (state.step, state.elapsed_s, state.window.clone(), state.evaluation.clone());
        session.loss_scale = state.loss_scale.clone().or(session.loss_scale);
        Ok(session)
    }

    fn run<O: Objective>(
        &self,
        objective: &O,
        mut session: Session<O::Model>,
        streams: &mut [BoxStream<O::Batch>],
        mut watch: Watch<'_, O::Model>,
    ) -> Result<Session<O::Model>, TrainError> {
        let progress = if self.writes() { self.progress } else { Progress::Hidden };
        let mut view = View::start(progress, &self.stage, session.step, self.config.steps);
        while session.step < self.config.steps {
            if self.stopping(watch.stop.load(Ordering::Relaxed) || view.stop_requested())? {
                if session.step > 0 {
                    self.save(&session, streams, watch.sink)?;
                }
                break;
            }
            let lr;
            (session, lr) = self.update(objective, session, streams, &mut view)?;
            let step = session.step;
            let last = step == self.config.steps;
            let every = |updates: u64| updates > 0 && (last || step.is_multiple_of(updates));
            session.evaluation.clear();
            if every(self.config.evaluate_every) {
                session.evaluation = self.evaluate(&mut watch.evaluators, &session, &mut view)?;
            }
            if every(self.config.log_every) || !session.evaluation.is_empty() {
                let probes = session.probes(objective);
                let record = session.window.take_record(&self.stage, step, lr, session.elapsed_s, probes);
                let record = MetricRecord { evaluation: session.evaluation.clone(), ..record };
                view.record(&record);
                if self.writes() {
                    watch.sink.record(&record).map_err(|error| self.unsaved(step, None, error))?;
                }
            }
            if every(self.config.checkpoint_every) || self.is_best(&session)? {
                self.save(&session, streams, watch.sink)?;
            }
        }
        Ok(session)
    }

    /// What the replica that writes has measured: all go by the same numbers.
    fn evaluate<M: Module>(
        &self,
        evaluators: &mut Evaluators<'_, M>,
        session: &Session<M>,
        view: &mut View,
    ) -> Result<BTreeMap<String, f64>, TrainError> {
        if !self.writes() {
            return self.measured(BTreeMap::new());
        }
        let wanted = self.config.keep_best.as_deref();
        let model = narrowed(&session.model, self.config.precision);
        let measured = measure(evaluators, &model, session.step, wanted)?;
        for name in measured.lost {
            view.note(&format!("the evaluation after update {} gave no number for {name}", session.step));
        }
        self.measured(measured.finite)
    }

    /// Of what the replicas bring, that of the one that writes.
    fn measured(&self, own: BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>, TrainError> {
        if self.sync.world() == 1 {
            return Ok(own);
        }
        let all: Vec<BTreeMap<String, f64>> = self.gathered(&own)?;
        Ok(all.into_iter().next().unwrap_or_default())
    }

    /// Whether the model was just measured to be better than every one of which there is a checkpoint.
    fn is_best<M>(&self, session: &Session<M>) -> Result<bool, TrainError> {
        let Some(metric) = &self.config.keep_best else { return Ok(false) };
        let Some(now) = session.evaluation.get(metric) else { return Ok(false) };
        let best = Checkpoint::best(&self.checkpoints, metric)?;
        Ok(best.is_none_or(|best| now < &best.state().evaluation[metric]))
    }

    /// One update; returns what it made of the session, and its learning rate.
    fn update<O: Objective>(
        &self,
        objective: &O,
        session: Session<O::Model>,
        streams: &mut [BoxStream<O::Batch>],
        view: &mut View,
    ) -> Result<(Session<O::Model>, f64), TrainError> {
        let started = Instant::now();
        let number = session.step + 1;
        session.seed(self.step_seed(number));

        let due = self.config.due(session.step);
        let places: Vec<Value> = due.iter().map(|source| streams[*source].state()).collect();
        let parts = self.parts(objective, streams, &due, number)?;
        let passes = Passes {
            sources: &self.config.sources,
            precision: self.config.precision,
            scale: session.loss_scale.as_ref().map_or(1.0, |scale| scale.factor),
            workers: &session.workers,
        };
        let (outputs, mut grads) = accumulate(objective, &session.model, passes, parts)?;
        let outputs = share(&*self.sync, &session.model, outputs, &mut grads)?;
        if passes.scale != 1.0 {
            gradients::scale(&session.model, &mut grads, 1.0 / passes.scale);
        }
        gradients::clip_adaptive(&session.model, &mut grads, &self.config);
        let (losses, mut norm) = self.read_back(&session.model, &outputs, &grads)?;
        let mut session = session;
        let skipped = !norm.is_finite() && losses.iter().all(|loss| loss.is_finite()) && session.overflowed();
        if skipped {
            norm = 0.0;
        }
        if let Some(suspicion) = self.suspicion(&outputs, &losses, norm) {
            let places: BTreeMap<usize, Value> = due.into_iter().zip(places).collect();
            return Err(self.diverged(objective, &session, streams, &grads, &places, suspicion));
        }
        if let Some(factor) = self.config.clip_norm.and_then(|max| gradients::clip_factor(norm, max)) {
            gradients::scale(&session.model, &mut grads, factor);
        }
        let lr = self.config.schedule.at(session.step, self.config.steps);
        let mut session = match skipped {
            true => Session { step: number, ..session },
            false => session.apply(&self.config, lr, grads),
        };

        let seconds = started.elapsed().as_secs_f64();
        session.elapsed_s += seconds;
        let mut update = Update {
            step: session.step,
            losses: Vec::new(),
            loss: 0.0,
            lr,
            grad_norm: norm,
            units: 0.0,
            images: 0,
            seconds,
        };
        for ((source, output), loss) in outputs.iter().zip(losses) {
            let spec = &self.config.sources[*source];
            session.window.add_batch(&spec.name, output, loss);
            update.losses.push((spec.name.as_str(), loss));
            update.loss += spec.weight * loss;
            update.units += output.units;
            update.images += output.images as u64;
        }
        session.window.add_update(norm, seconds);
        view.update(&update);
        Ok((session, lr))
    }

    /// The next batch of each source that is due, cut.
    fn parts<O: Objective>(
        &self,
        objective: &O,
        streams: &mut [BoxStream<O::Batch>],
        due: &[usize],
        number: u64,
    ) -> Result<Vec<Part<O::Batch>>, TrainError> {
        let mut parts = Vec::new();
        for source in due.iter().copied() {
            let spec = &self.config.sources[source];
            let batch = streams[source].next().map_err(|error| stream_error(spec, number, error))?;
            let cut = objective.split(batch, self.config.microbatches);
            parts.extend(cut.into_iter().map(|(batch, share)| Part { source, share, batch }));
        }
        Ok(parts)
    }

    /// The losses and the norm of the gradient, in one transfer from the device.
    fn read_back<M: Module>(
        &self,
        model: &M,
        outputs: &[(usize, LossOutput)],
        grads: &GradientsParams,
    ) -> Result<(Vec<f64>, f64), TrainError> {
        let Some(squared_norm) = gradients::squared_norm(model, grads) else {
            let source = outputs.first().map_or(0, |(source, _)| *source);
            let source_name = self.config.sources[source].name.clone();
            return Err(TrainError::NothingTrainable { source_name });
        };
        let losses = outputs.iter().map(|(_, output)| output.loss.clone().cast(FloatDType::F32));
        let scalars = losses.chain([squared_norm.cast(FloatDType::F32)]).collect();
        let mut values: Vec<f64> = Tensor::cat(scalars, 0).into_data().iter::<f64>().collect();
        let norm = values.pop().unwrap_or_default().sqrt();
        Ok((values, norm))
    }

    /// The first number that is not finite.
    fn suspicion(&self, outputs: &[(usize, LossOutput)], losses: &[f64], norm: f64) -> Option<Suspicion> {
        let bad = outputs.iter().zip(losses).find(|(_, loss)| !loss.is_finite());
        match bad {
            Some(((source, _), loss)) => Some(Suspicion {
                what: format!("the loss of source {:?}", self.config.sources[*source].name),
                value: *loss,
                sources: vec![*source],
            }),
            None => (!norm.is_finite()).then(|| Suspicion {
                what: "the norm of the gradient".to_owned(),
                value: norm,
                sources: outputs.iter().map(|(source, _)| *source).collect(),
            }),
        }
    }

    /// Looks for the reason: draws the batches again from their `places`, and has them looked through and kept.
    fn diverged<O: Objective>(
        &self,
        objective: &O,
        session: &Session<O::Model>,
        streams: &mut [BoxStream<O::Batch>],
        grads: &GradientsParams,
        places: &BTreeMap<usize, Value>,
        suspicion: Suspicion,
    ) -> TrainError {
        let step = session.step + 1;
        let (trained, parameters) = gradients::non_finite(&session.model, grads);
        let mut evidence = Evidence { trained, parameters, ..Evidence::default() };
        for source in suspicion.sources {
            let stream = &mut streams[source];
            let again = places.get(&source).map(|place| stream.restore(place).and_then(|()| stream.next()));
            let Some(Ok(batch)) = again else { continue };
            session.seed(self.step_seed(step));
            let model = narrowed(&session.model, self.config.precision);
            let layer = objective.diagnose(&model, source, &batch);
            evidence.layer = evidence.layer.or(layer);
            let name = &self.config.sources[source].name;
            let name = if self.writes() { name.clone() } else { format!("{name}-{}", self.sync.rank()) };
            evidence.keep(batch_file(&self.checkpoints, step, &name), &objective.describe(&batch));
        }
        let Suspicion { what, value, .. } = suspicion;
        TrainError::NonFinite { step, what, value, evidence: Box::new(evidence) }
    }

    /// Decides the device's random numbers in an update, counted from 1.
    fn step_seed(&self, number: u64) -> u64 {
        let seed = derive(self.config.seed, [word(&self.stage), number]);
        match self.sync.rank() {
            0 => seed,
            rank => derive(seed, [rank as u64]),
        }
    }

    /// Whether this replica is the one that writes.
    fn writes(&self) -> bool {
        self.sync.rank() == 0
    }

    /// Whether to stop before the next update: all replicas do, if one was asked to.
    fn stopping(&self, asked: bool) -> Result<bool, TrainError> {
        if self.sync.world() == 1 {
            return Ok(asked);
        }
        Ok(self.sync.gather(asked.into())?.contains(&true.into()))
    }

    /// All replicas' values, in the order of their ranks.
    fn gathered<T: Serialize + DeserializeOwned>(&self, own: &T) -> Result<Vec<T>, TrainError> {
        let garbled = |error: serde_json::Error| TrainError::ReplicaGarbled { message: error.to_string() };
        let all = self.sync.gather(serde_json::to_value(own).map_err(garbled)?)?;
        all.into_iter().map(|value| serde_json::from_value(value).map_err(garbled)).collect()
    }

    fn save<M: Module, B>(
        &self,
        session: &Session<M>,
        streams: &[BoxStream<B>],
        sink: &mut dyn MetricSink,
    ) -> Result<(), TrainError> {
        let names = self.config.sources.iter().map(|spec| spec.name.clone());
        let places: Places = names.zip(streams.iter().map(|stream| stream.state())).collect();
        let mut of_replicas: Vec<Places> = self.gathered(&places)?;
        if !self.writes() {
            return Ok(());
        }
        sink.sync().map_err(|error| self.unsaved(session.step, None, error))?;
        let state = CheckpointState {
            stage: self.stage.clone(),
            step: session.step,
            config: self.config.clone(),
            streams: of_replicas.remove(0),
            replicas: of_replicas,
            loss_scale: session.loss_scale.clone(),
            elapsed_s: session.elapsed_s,
            evaluation: session.evaluation.clone(),
            window: session.window.clone(),
        };
        let saved = Checkpoint::save(&self.checkpoints, state, &session.model, &session.optimizer);
        saved
            .map(drop)
            .map_err(|error| self.unsaved(session.step, Some(Checkpoint::bytes(&session.model)), error))
    }

    /// The error for what could not be written, which says what there is.
    fn unsaved(&self, step: u64, need: Option<u64>, error: TrainError) -> TrainError {
        let kept = Checkpoint::latest(&self.checkpoints).ok().flatten().map(|kept| kept.path().to_owned());
        TrainError::Unsaved { step, need, kept, source: Box::new(error) }
    }
}

/// What a run is told while it goes on, and whom it tells.
struct Watch<'a, M> {
    evaluators: Evaluators<'a, M>,
    sink: &'a mut dyn MetricSink,
    stop: &'a AtomicBool,
}

/// Where each source of batches stands, by name.
type Places = BTreeMap<String, Value>;

/// A number that is not finite.
struct Suspicion {
    what: String,
    value: f64,
    /// The sources whose batches may be the reason.
    sources: Vec<usize>,
}

/// What changes from update to update.
struct Session<M> {
    model: M,
    workers: Workers,
    optimizer: PathAdamW,
    /// With f16.
    loss_scale: Option<LossScale>,
    devices: Vec<Device>,
    step: u64,
    elapsed_s: f64,
    /// Of the last update; empty if it was not due.
    evaluation: BTreeMap<String, f64>,
    window: Window,
}

impl<M: Module> Session<M> {
    /// Before the first update. It learns with leaves of its own: those of `model` may be held by others too, as by replicas
    /// that are copies of one model.
    fn new(model: M, precision: Precision, threads: usize) -> Self {
        Self {
            devices: model.devices(),
            model: with_own_leaves(model),
            workers: Workers::new(threads),
            optimizer: PathAdamW::default(),
            loss_scale: (precision == Precision::F16).then(LossScale::default),
            step: 0,
            elapsed_s: 0.0,
            evaluation: BTreeMap::new(),
            window: Window::default(),
        }
    }

    fn outcome(self, shelf: Shelf, finished: bool) -> Outcome<M> {
        Outcome { model: shelf.empty(self.model), step: self.step, finished, seconds: self.elapsed_s }
    }

    fn seed(&self, seed: u64) {
        self.devices.iter().for_each(|device| device.seed(seed));
    }

    /// By value, so that each old parameter is freed as soon as it has been replaced.
    fn apply(mut self, config: &TrainConfig, lr: f64, grads: GradientsParams) -> Self {
        self.model = self.optimizer.step(config, lr, self.model, grads);
        self.step += 1;
        self.loss_scale.iter_mut().for_each(LossScale::succeeded);
        self
    }

    /// Notes that a gradient is too large for f16; `false` if that is not what is wrong.
    fn overflowed(&mut self) -> bool {
        self.loss_scale.as_mut().is_some_and(LossScale::overflowed)
    }

    /// The model's own numbers, and those of the loss scale.
    fn probes<O: Objective<Model = M>>(&self, objective: &O) -> Vec<(String, f64)> {
        let mut probes = objective.probes(&self.model);
        if let Some(scale) = &self.loss_scale {
            probes.push(("loss_scale".to_owned(), scale.factor));
            probes.push(("skipped_updates".to_owned(), scale.skipped as f64));
        }
        probes
    }
}

fn stream_error(spec: &SourceSpec, step: u64, error: StreamError) -> TrainError {
    TrainError::Stream { source_name: spec.name.clone(), step, error }
}

#[cfg(test)]
mod tests;
