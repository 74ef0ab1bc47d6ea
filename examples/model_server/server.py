"""A model server that logs every prediction and every label to Kafka.

    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 uvicorn --app-dir examples/model_server server:app

It trains a small credit model at start (made-up data, seeded) and serves `POST /predict` and
`POST /label`. Kafka may be away: predictions are served as quickly, and `GET /healthz` counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, BaseModel, Field
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stream.client import LabelLogger, PredictionLogger

MODEL = "credit"
VERSION = "1"
MAX_ID_BYTES = 256  # what driftstream takes


def as_id(text: str) -> str:
    """The id; ValueError, which FastAPI answers with 422, where it has no or too many bytes."""
    if not 0 < len(text.encode()) <= MAX_ID_BYTES:
        raise ValueError(f"an id has 1 to {MAX_ID_BYTES} bytes of UTF-8")
    return text


Id = Annotated[str, AfterValidator(as_id)]


class Application(BaseModel):
    """What is asked: one application for credit."""

    age: float = Field(ge=18, le=120)
    income: float | None = None
    debt_ratio: float
    state: str
    request_id: Id | None = None


class Decision(BaseModel):
    """What is answered; `request_id` is what a label names later."""

    request_id: str
    approved: bool
    score: float


class Outcome(BaseModel):
    """What turned out to be true; null takes an earlier outcome back."""

    request_id: Id
    repaid: bool | None


def train(rows: int = 2_000, seed: int = 7) -> Any:
    """A pipeline fitted to made-up applications."""
    source = random.Random(seed)
    applications, repaid = [], []
    for _ in range(rows):
        age = source.uniform(18, 80)
        income = source.lognormvariate(10.5, 0.5)
        debt_ratio = source.betavariate(2, 5)
        state = source.choice(["CA", "NY", "TX", "WA"])
        applications.append(
            {"age": age, "income": income, "debt_ratio": debt_ratio, "state": state}
        )
        repaid.append(source.random() < 0.2 + 0.7 * (1 - debt_ratio) * min(1.0, income / 40_000))
    model = make_pipeline(DictVectorizer(sparse=False), StandardScaler(), LogisticRegression())
    return model.fit(applications, repaid)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Trains the model and opens the loggers; at the end sends what they still hold."""
    app.state.model = await run_in_threadpool(train)
    app.state.predictions = PredictionLogger(model=MODEL, version=VERSION)
    app.state.labels = LabelLogger()
    yield
    await run_in_threadpool(app.state.predictions.close, 10.0)
    await run_in_threadpool(app.state.labels.close, 10.0)


app = FastAPI(title="credit", lifespan=lifespan)


@app.post("/predict")
def predict(application: Application, request: Request) -> Decision:
    """Decides, and logs what was seen and said."""
    begun = time.perf_counter()
    features = application.model_dump(exclude={"request_id"})
    seen = {**features, "income": application.income or 0.0}
    score = float(request.app.state.model.predict_proba([seen])[0, 1])
    approved = score >= 0.5
    request_id = request.app.state.predictions.log(
        prediction_id=application.request_id,
        features=features,
        prediction=approved,
        score=score,
        tags={"channel": request.headers.get("x-channel", "web")},
        latency_ms=(time.perf_counter() - begun) * 1_000,
    )
    return Decision(request_id=request_id, approved=approved, score=score)


@app.post("/label", status_code=202)
def label(outcome: Outcome, request: Request) -> None:
    """Logs an outcome, days or months after its prediction."""
    request.app.state.labels.log(outcome.request_id, outcome.repaid, model=MODEL)


@app.get("/healthz")
def healthz(request: Request) -> dict[str, dict[str, int]]:
    """How many rows were delivered, failed, were dropped, and wait."""
    return {
        "predictions": request.app.state.predictions.counters._asdict(),
        "labels": request.app.state.labels.counters._asdict(),
    }
