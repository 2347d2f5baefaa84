package app;

import java.util.Map;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Greets. */
@RestController
class GreetingController {

    static final String GREETING = [[ greeting | default("Hello from " ~ AppName) | tojson ]];

    @GetMapping("/")
    Map<String, String> greet() {
        return Map.of("message", GREETING);
    }
}
