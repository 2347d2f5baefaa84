import json
import threading
import unittest
import urllib.error
import urllib.request

import service


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.server = service.make_server("127.0.0.1", 0)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def get(self, path):
        # No proxy of the environment stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = "http://127.0.0.1:%d%s" % (self.server.server_address[1], path)
        with opener.open(url, timeout=10) as response:
            return json.load(response)

    def test_it_greets(self):
        self.assertEqual(self.get("/"), {"message": service.GREETING})

    def test_it_is_healthy(self):
        self.assertEqual(self.get("/healthz?probe=1"), {"status": "ok"})

    def test_it_does_not_know_everything(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get("/nothing")
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()


if __name__ == "__main__":
    unittest.main()
