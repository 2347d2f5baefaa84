import unittest

import app


class AppTest(unittest.TestCase):
    def setUp(self):
        self.client = app.create_app().test_client()

    def test_it_greets(self):
        self.assertEqual(self.client.get("/").get_json(), {"message": app.GREETING})

    def test_it_is_healthy(self):
        self.assertEqual(self.client.get("/healthz").get_json(), {"status": "ok"})

    def test_it_does_not_know_everything(self):
        answer = self.client.get("/nothing")
        self.assertEqual((answer.status_code, answer.get_json()), (404, {"error": "not found"}))


if __name__ == "__main__":
    unittest.main()
