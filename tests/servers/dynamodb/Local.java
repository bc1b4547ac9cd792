import com.amazonaws.services.dynamodbv2.local.main.ServerRunner;
import java.io.IOException;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * DynamoDB Local on 127.0.0.1 only; by itself it listens on all interfaces. It says `ready` when it
 * is, and ends when its standard input does, so that it outlives no test, however that ended.
 */
public class Local {
    /** The server's own options, as `-inMemory -port 8000`. */
    public static void main(String[] options) throws Exception {
        var local = ServerRunner.createServerFromCommandLineArgs(options);
        var field = local.getClass().getDeclaredField("server");
        field.setAccessible(true);
        for (var connector : ((Server) field.get(local)).getConnectors()) {
            ((ServerConnector) connector).setHost("127.0.0.1");
        }
        new Thread(Local::endWithInput).start();
        local.start();
        System.out.println("ready");
        local.join();
    }

    private static void endWithInput() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException gone) {
            // As good as its end.
        }
        Runtime.getRuntime().halt(0);
    }
}
