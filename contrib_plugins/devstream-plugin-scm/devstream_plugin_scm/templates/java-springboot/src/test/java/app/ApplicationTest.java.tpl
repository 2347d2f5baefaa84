package app;

import static org.springframework.test.web.servlet.request.MockMvcRequestBuilders.get;
import static org.springframework.test.web.servlet.result.MockMvcResultMatchers.jsonPath;
import static org.springframework.test.web.servlet.result.MockMvcResultMatchers.status;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.webmvc.test.autoconfigure.AutoConfigureMockMvc;
import org.springframework.test.web.servlet.MockMvc;

@SpringBootTest
@AutoConfigureMockMvc
class ApplicationTest {

    @Autowired
    private MockMvc web;

    @Test
    void itGreets() throws Exception {
        web.perform(get("/")).andExpect(status().isOk())
                .andExpect(jsonPath("$.message").value(GreetingController.GREETING));
    }

    @Test
    void itIsHealthy() throws Exception {
        web.perform(get("/healthz")).andExpect(status().isOk()).andExpect(jsonPath("$.status").value("UP"));
    }

    @Test
    void itDoesNotKnowEverything() throws Exception {
        web.perform(get("/nothing")).andExpect(status().isNotFound());
    }
}
