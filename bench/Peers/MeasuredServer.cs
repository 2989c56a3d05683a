namespace Fanfare.Peers;

/// <summary>How a server is set up.</summary>
internal enum Setup
{
    /// <summary>Without limits that would end a measurement.</summary>
    LiftedLimits,

    /// <summary>With the limits for slow subscribers that it has by itself.</summary>
    UsualLimits,

    /// <summary>With event handlers.</summary>
    Handlers,
}

/// <summary>A server that is measured, and how it is started.</summary>
/// <param name="Name">Its name in tables.</param>
/// <param name="Key">Its name on the command line; all builds of the gateway have the same.</param>
/// <param name="Protocol">What it speaks, as the load generator names it.</param>
/// <param name="Start">Starts it.</param>
internal sealed record MeasuredServer(string Name, string Key, string Protocol, Func<MeasuredServer.Place, ServerProcess> Start)
{
    /// <summary>The gateways' name on the command line.</summary>
    public const string FanfareKey = "fanfare";

    /// <summary>The floor's name on the command line.</summary>
    public const string FloorKey = "floor";

    /// <summary>SignalR's name on the command line.</summary>
    public const string SignalRKey = "signalr";

    /// <summary>All names on the command line.</summary>
    public static readonly string[] Keys = [FloorKey, FanfareKey, "nats", "nchan", "mosquitto", SignalRKey, "socketio"];

    private const string LiftedLimit = "# lifted";

    // Where Debian's packages put programs that are no commands for users.
    private static readonly string[] s_moreProgramFolders = ["/usr/sbin", "/usr/local/sbin"];
    private static readonly string[] s_moduleFolders = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/lib/nginx/modules"];

    // Each .NET program with the garbage collector that it chooses.
    private static readonly (string Name, string? Value)[] s_environment = [("DOTNET_gcServer", null)];

    /// <summary>Where and how a server is started.</summary>
    /// <param name="Folder">What it may write to.</param>
    /// <param name="Port">What it is to listen on.</param>
    /// <param name="Setup">How it is set up.</param>
    internal sealed record Place(string Folder, int Port, Setup Setup);

    /// <summary>Whether it is a build of the gateway.</summary>
    public bool IsFanfare => Key == FanfareKey;

    /// <summary>Whether it is another product, and neither the floor nor the gateway.</summary>
    public bool IsPeer => Key is not (FanfareKey or FloorKey);

    /// <summary>Whether it has subscriptions to all channels below one.</summary>
    public bool HasWildcards { get; private init; }

    /// <summary>Whether it takes publishes over WebSocket.</summary>
    public bool HasWebSocketPublishes { get; private init; } = true;

    /// <summary>Whether it takes publishes over HTTP.</summary>
    public bool HasPosts { get; private init; }

    /// <summary>Whether its code gets faster while it runs.</summary>
    public bool IsCompiledAsItRuns { get; private init; }

    /// <summary>Returns all that can be started here, in the order of the tables; says why where one cannot.</summary>
    /// <param name="keys">The servers that are wanted.</param>
    /// <param name="gateways">The builds of the gateway, by name.</param>
    public static IEnumerable<MeasuredServer> FindAll(IReadOnlyCollection<string> keys, IReadOnlyList<(string Name, string Assembly)> gateways)
    {
        foreach (var key in Keys.Where(keys.Contains))
        {
            if (key == FanfareKey)
            {
                foreach (var (name, assembly) in gateways)
                {
                    yield return CreateFanfare(name, assembly);
                }

                continue;
            }

            MeasuredServer? server = null;
            try
            {
                server = key switch
                {
                    FloorKey => CreateFloor(),
                    "nats" => CreateNats(),
                    "nchan" => CreateNchan(),
                    "mosquitto" => CreateMosquitto(),
                    SignalRKey => CreateSignalR(),
                    _ => CreateSocketIo(),
                };
            }
            catch (MeasurementException e)
            {
                Console.WriteLine($"Left out: {key}. {e.Message}");
            }

            if (server is not null)
            {
                yield return server;
            }
        }
    }

    /// <summary>Starts it; returns once it listens.</summary>
    /// <param name="folder">Where it may keep what it needs while it runs.</param>
    /// <param name="setup">How it is set up.</param>
    public async Task<ServerProcess> StartAsync(string folder, Setup setup)
    {
        var own = Directory.CreateDirectory(Path.Combine(folder, Path.GetRandomFileName())).FullName;
        var process = Start(new Place(own, ServerProcess.ReservePort(), setup));
        try
        {
            await process.AwaitReadyAsync(IsFanfare);
        }
        catch
        {
            process.Dispose();
            throw;
        }

        return process;
    }

    private static MeasuredServer CreateFloor()
    {
        var program = FindFile(Repository.GetPath("bench", "floor", "floor"), "It was not built.");
        return new(
            "floor", FloorKey, "appsync",
            place => new ServerProcess("floor", place.Port, program, ["--port", $"{place.Port}"], s_environment))
        {
            HasWildcards = true,
        };
    }

    // With what the program chooses itself, except for what all servers are given: no logs, and no limit for slow subscribers.
    private static MeasuredServer CreateFanfare(string name, string assembly) => new(
        name, FanfareKey, "appsync",
        place => new ServerProcess(
            name, place.Port, "dotnet",
            [
                assembly, "--urls", $"http://127.0.0.1:{place.Port}", "--data", place.Folder, "--api-key", ServerProcess.ApiKey,
                .. place.Setup == Setup.Handlers ? (string[])["--template", GetConfigurationPath("template.yaml")] : [],
            ],
            place.Setup == Setup.UsualLimits ? [.. s_environment, ("Fanfare__Limits__PendingBytesMax", null)] : s_environment))
    {
        HasWildcards = true,
        HasPosts = true,
        IsCompiledAsItRuns = true,
    };

    private static MeasuredServer CreateNats()
    {
        var program = FindProgram("nats-server");
        return new(
            "NATS", "nats", "nats",
            place => new ServerProcess(
                "NATS", place.Port, program, ["--config", WriteConfiguration(place, "nats.conf")], s_environment))
        {
            HasWildcards = true,
        };
    }

    private static MeasuredServer CreateNchan()
    {
        var program = FindProgram("nginx");
        var modules = s_moduleFolders.FirstOrDefault(folder => File.Exists(Path.Combine(folder, "ngx_nchan_module.so")))
            ?? throw new MeasurementException("nginx has no module ngx_nchan_module.so.");
        return new(
            "Nchan", "nchan", "nchan",
            place => new ServerProcess(
                "Nchan", place.Port, program,
                [
                    "-p", place.Folder, "-e", Path.Combine(place.Folder, "error.log"),
                    "-c", WriteConfiguration(place, "nginx.conf", ("MODULES", modules)),
                ],
                s_environment))
        {
            HasWebSocketPublishes = false,
            HasPosts = true,
        };
    }

    private static MeasuredServer CreateMosquitto()
    {
        var program = FindProgram("mosquitto");
        return new(
            "Mosquitto", "mosquitto", "mqtt",
            place => new ServerProcess(
                "Mosquitto", place.Port, program, ["-c", WriteConfiguration(place, "mosquitto.conf")], s_environment))
        {
            HasWildcards = true,
        };
    }

    private static MeasuredServer CreateSignalR()
    {
        var program = FindFile(Repository.GetAssembly("bench/SignalR"), "It was not built.");
        return new(
            "SignalR", SignalRKey, "signalr",
            place => new ServerProcess("SignalR", place.Port, "dotnet", [program, "--urls", $"http://127.0.0.1:{place.Port}"], s_environment))
        {
            IsCompiledAsItRuns = true,
        };
    }

    private static MeasuredServer CreateSocketIo()
    {
        var program = FindProgram("node");
        FindFile(Repository.GetPath("bench", "SocketIo", "node_modules", "socket.io", "package.json"), "Its npm packages are not installed.");
        return new(
            "Socket.IO", "socketio", "socketio",
            place => new ServerProcess(
                "Socket.IO", place.Port, program, [Repository.GetPath("bench", "SocketIo", "server.js"), $"{place.Port}"],
                [.. s_environment, ("NODE_ENV", "production")]))
        {
            IsCompiledAsItRuns = true,
        };
    }

    private static string WriteConfiguration(Place place, string name, params (string Name, string Value)[] more)
    {
        (string Name, string Value)[] values =
        [
            ("TCP_PORT", $"{ServerProcess.ReservePort()}"), ("PORT", $"{place.Port}"), ("DATA", place.Folder),
            ("CORES", $"{Environment.ProcessorCount}"), .. more,
        ];
        var lines = File.ReadLines(GetConfigurationPath(name))
            .Where(line => place.Setup != Setup.UsualLimits || !line.EndsWith(LiftedLimit, StringComparison.Ordinal))
            .Select(line => values.Aggregate(line, (result, value) => result.Replace($"@{value.Name}@", value.Value, StringComparison.Ordinal)));
        var path = Path.Combine(place.Folder, name);
        File.WriteAllLines(path, lines);
        return path;
    }

    private static string GetConfigurationPath(string name) => Path.Combine(AppContext.BaseDirectory, "Configurations", name);

    private static string FindProgram(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Concat(s_moreProgramFolders)
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
        ?? throw new MeasurementException($"There is no {name}.");

    private static string FindFile(string path, string otherwise) => File.Exists(path) ? path : throw new MeasurementException(otherwise);
}
