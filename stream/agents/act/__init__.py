"""Act agents: deliver alerts and start pipelines (Alertmanager, webhook, Airflow, GitLab, ...).

They will run on Faust and reconcile retrain requests against their status, so that a lost or
repeated event changes nothing. The only place where Faust and aiokafka are imported.
"""
