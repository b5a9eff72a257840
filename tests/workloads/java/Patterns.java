import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * {@code Patterns MODE LISTEN BACKEND}: the JDK's own server, a thread of a cached pool for each request, whose work changes
 * hands before the call. {@code $SERVICE_MS} is the longest service time before a call, {@code $SEED} begins their sequence.
 */
public final class Patterns {
    /** Does the work of one request, given the truth's id that it came with, and returns when it is done. */
    private interface Mode {
        void serve(String id) throws Exception;
    }

    private static final Random RANDOM = new Random(number("SEED", 1));
    private static final long MOST = number("SERVICE_MS", 0);
    private static URI backend;

    private Patterns() {}

    public static void main(String[] arguments) throws IOException {
        backend = URI.create("http://" + arguments[2] + "/work");
        Mode mode = mode(arguments[0]);
        String[] listen = arguments[1].split(":");
        HttpServer server = HttpServer.create(new InetSocketAddress(listen[0], Integer.parseInt(listen[1])), 1024);
        server.setExecutor(serverThreads(arguments[0]));
        server.createContext("/", exchange -> {
            try {
                mode.serve(exchange.getRequestHeaders().getFirst("x-truth"));
                byte[] answer = "ok\n".getBytes();
                exchange.sendResponseHeaders(200, answer.length);
                exchange.getResponseBody().write(answer);
            } catch (Exception error) {
                error.printStackTrace();
            } finally {
                exchange.close();
            }
        });
        server.start();
    }

    private static ExecutorService serverThreads(String mode) {
        if (!mode.equals("virtual-threads")) {
            return Executors.newCachedThreadPool();
        }
        try {
            // Since Java 21, and this file is compiled for older ones too.
            return (ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    private static Mode mode(String name) {
        switch (name) {
            case "thread-per-request":
            case "virtual-threads":
                return id -> call(id + ".1");
            case "fixed-pool": {
                ExecutorService pool = Executors.newFixedThreadPool(16);
                return id -> pool.submit(() -> call(id + ".1")).get();
            }
            case "completable-future": {
                ExecutorService pool = Executors.newFixedThreadPool(16);
                return id -> CompletableFuture.supplyAsync(() -> id + ".1", pool).thenAcceptAsync(Patterns::call, pool).get();
            }
            case "scheduled": {
                ScheduledExecutorService pool = Executors.newScheduledThreadPool(16);
                return id -> pool.schedule(() -> ask(id + ".1"), serviceTime(), TimeUnit.MILLISECONDS).get();
            }
            case "http-client-async": {
                HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
                return id -> {
                    pause();
                    HttpRequest request = HttpRequest.newBuilder(backend).header("x-truth", id + ".1").build();
                    client.sendAsync(request, HttpResponse.BodyHandlers.ofString()).get();
                };
            }
            default:
                throw new IllegalArgumentException(name);
        }
    }

    /** Takes a service time and makes one call. */
    private static void call(String id) {
        pause();
        ask(id);
    }

    private static void ask(String id) {
        try {
            HttpURLConnection connection = (HttpURLConnection) backend.toURL().openConnection();
            connection.setRequestProperty("x-truth", id);
            try (InputStream answer = connection.getInputStream()) {
                answer.readAllBytes();
            }
        } catch (IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    private static void pause() {
        try {
            Thread.sleep(serviceTime());
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private static long serviceTime() {
        synchronized (RANDOM) {
            return (long) (RANDOM.nextDouble() * MOST);
        }
    }

    private static long number(String name, long otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : Long.parseLong(value);
    }
}
