"""Trigger: a policy turns incidents into retrain and rollback requests.

Will hold the policy, request identities and leases, and the life of a request by its statuses.
"""
