"""[[ AppName ]]: a web service with Flask.

    flask run --port [[ port | default(8080) ]]        while you work on it
    gunicorn "app:create_app()"      as in the image
"""

from flask import Flask, jsonify

GREETING = [[ greeting | default("Hello from " ~ AppName) | tojson ]]


def create_app():
    """Make the application; tests make one each."""
    app = Flask(__name__)

    @app.get("/")
    def index():
        return jsonify(message=GREETING)

    @app.get("/healthz")
    def healthz():
        return jsonify(status="ok")

    @app.errorhandler(404)
    def not_found(error):
        return jsonify(error="not found"), 404

    return app
