using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Fanfare.Gateway.Tests.TestKit;

/// <summary>A Redis of the test's own: a fresh port and a fresh folder, nothing kept on disk.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private const string Program = "redis-server";

    private readonly TemporaryFolder _folder = new();
    private readonly string? _password;
    private Process? _process;

    private RedisServer(string? password, int port) => (_password, Port) = (password, port);

    /// <summary>Where it listens, on 127.0.0.1.</summary>
    public int Port { get; }

    /// <summary>How a gateway is told of it.</summary>
    public string ConnectionString => $"127.0.0.1:{Port}{(_password is null ? "" : $",password={_password}")}";

    /// <summary>The arguments of a gateway that uses it.</summary>
    public string[] Arguments => ["--backplane", "redis", $"--ConnectionStrings:redis={ConnectionString}"];

    /// <summary>Skips the test where Redis is not installed.</summary>
    public static void SkipUnlessInstalled() => Assert.SkipUnless(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, Program))),
        $"{Program} is not installed (Debian package redis-server)");

    /// <summary>Starts one; skips the test where Redis is not installed.</summary>
    public static async Task<RedisServer> StartAsync(string? password = null)
    {
        for (var attempt = 1; ; attempt++)
        {
            var server = Reserve(password);
            try
            {
                await server.RestartAsync();
                return server;
            }
            catch (IOException) when (attempt < 5)
            {
                // Somebody else was faster to take the port.
                await server.DisposeAsync();
            }
            catch
            {
                await server.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>Chooses the port of one that <see cref="RestartAsync"/> starts later; skips the test where Redis is not installed.</summary>
    public static RedisServer Reserve(string? password = null)
    {
        SkipUnlessInstalled();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return new RedisServer(password, ((IPEndPoint)listener.LocalEndpoint).Port);
    }

    /// <summary>Kills the process, as a crash would.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            if (!process.HasExited)
            {
                process.Kill();
            }

            await Deadline.WaitAsync(async token => await process.WaitForExitAsync(token), "the end of Redis");
            process.Dispose();
            _process = null;
        }
    }

    /// <summary>Stops the process where it is, with its connections open: <c>STOP</c>; or lets it go on: <c>CONT</c>.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process!.Id}"]);
        await Deadline.WaitAsync(async token => await kill.WaitForExitAsync(token), $"the end of kill -{signal}");
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Starts the process, and returns when it answers.</summary>
    public async Task RestartAsync()
    {
        var start = new ProcessStartInfo(Program) { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            "--port", $"{Port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", _folder.Path,
            .. _password is null ? Array.Empty<string>() : ["--requirepass", _password],
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        _process = Process.Start(start)!;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await Deadline.WaitAsync(
            async token =>
            {
                while (true)
                {
                    try
                    {
                        // Its own answer: the port may be another one's.
                        if ((await TalkAsync("INFO server", token)).Contains($"process_id:{_process.Id}"))
                        {
                            return;
                        }
                    }
                    catch (Exception e) when (e is SocketException or IOException)
                    {
                        // Not yet.
                    }

                    if (_process.HasExited)
                    {
                        throw new IOException($"Redis ended with {_process.ExitCode}; is port {Port} taken?");
                    }

                    await Task.Delay(5, token); // nothing tells when a foreign process has begun to listen
                }
            },
            "an answer of Redis");
    }

    /// <summary>Sends a command, such as <c>CLIENT KILL TYPE pubsub</c>; returns the lines of the answer.</summary>
    public Task<IReadOnlyList<string>> SendAsync(string command) =>
        Deadline.WaitAsync(token => new ValueTask<IReadOnlyList<string>>(TalkAsync(command, token)), $"an answer to {command}");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _folder.Dispose();
    }

    private async Task<IReadOnlyList<string>> TalkAsync(string command, CancellationToken token)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port, token);
        // Inline commands, answered in order; the connection's end ends the answer.
        var authentication = _password is null ? "" : $"AUTH {_password}\r\n";
        await client.Client.SendAsync(Encoding.ASCII.GetBytes($"{authentication}{command}\r\nQUIT\r\n"), token);
        using var reader = new StreamReader(client.GetStream(), Encoding.ASCII);
        var lines = (await reader.ReadToEndAsync(token)).Split("\r\n");
        // Without the answers to AUTH and QUIT, and the empty text behind the last line.
        return lines[(_password is null ? 0 : 1)..^2];
    }
}
